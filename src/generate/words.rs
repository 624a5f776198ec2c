//! The words of the generated text, the common ones of a list first: a word's place is its rank.

/// Countable nouns with a regular plural.
pub(super) const NOUNS: &str = "
time year way day thing case point group question problem part place system program number answer fact week month
company word book idea change reason result hour moment level order line example name area term process model user
team project plan message file table value list text data set test response request option task role tool state rule
note step page image key price rate cost report source version section sample detail member parent student teacher
friend customer reader writer worker partner manager driver doctor player neighbor paper letter story poem recipe
lesson topic subject theme chapter paragraph sentence phrase summary function method class object field record column
row index query server client schema error variable parameter argument loop module package library framework interface
pattern queue cache thread market product service account budget invoice contract loan bank tax payment salary share
fund profit house room door window wall floor garden kitchen street city town village country region border bridge
road train plane car bicycle ship station airport ticket journey trip hotel island mountain river lake forest beach
tree flower plant seed root branch farm animal dog cat horse bird insect whale tiger mouse meal dinner breakfast lunch
apple orange lemon onion tomato carrot potato egg cake cookie sandwich salad soup sauce spoon pan bowl oven bottle cup
glass plate ingredient flavor spice body hand arm eye heart brain bone muscle nerve organ cell gene protein vitamin
symptom disease virus vaccine patient hospital clinic nurse treatment medicine diet exercise habit sleep dream mood
emotion feeling planet star moon galaxy orbit telescope particle atom molecule electron wave signal force engine
battery circuit sensor device machine robot camera screen keyboard phone laptop computer printer network router
equation formula theorem proof vector matrix angle circle triangle square ratio fraction percentage average estimate
measurement experiment hypothesis theory observation survey chart graph figure song melody rhythm album concert guitar
piano drum singer actor film movie scene novel painting museum game match race score goal coach tournament season
champion medal rival referee law court judge lawyer crime witness verdict right duty policy election vote party
senator president minister government committee council agency department office campaign citizen voter leader war
battle soldier weapon treaty empire kingdom king queen castle temple church century decade era event language dialect
accent grammar verb noun translation dictionary alphabet proverb metaphor joke quote storm cloud winter summer spring
autumn temperature wind drought flood earthquake volcano glacier color shape size weight length height width depth
distance speed volume pressure surface edge corner beginning ending middle limit range gap peak trend cycle delay
deadline schedule calendar date minute second aim purpose benefit advantage drawback risk danger threat obstacle
challenge barrier conflict dispute choice decision preference opinion belief claim objection assumption conclusion
excuse skill talent ability strength weakness mistake failure success effort attempt opportunity reward exception
principle concept definition category type kind feature property aspect element component factor cause effect
consequence outcome impact influence connection relation link difference similarity approach strategy technique
procedure practice routine workflow pipeline architecture design draft revision comment review feedback suggestion
recommendation correction improvement update button menu form label icon layout font header footer banner tab
dashboard widget filter password token license certificate permission profile session browser website domain container
cluster node bucket endpoint payload gateway backend frontend compiler parser iterator struct enum trait closure macro
pointer buffer string integer boolean array tuple commit merge release patch bug sprint backlog milestone deployment
rollback dataset prediction classifier gradient layer neuron embedding prompt tokenizer benchmark metric startup
investor founder employee employer intern recruiter candidate resume interview career promotion meeting agenda
presentation slide handout workshop seminar conference speaker audience brand logo slogan advertisement segment
competitor supplier retailer warehouse shipment parcel receipt refund discount coupon subscription bundle catalog
building apartment tenant landlord mortgage rent renovation roof ceiling basement garage balcony stair chair desk lamp
sofa shelf drawer mirror carpet curtain blanket pillow candle shirt jacket dress shoe hat glove scarf pocket fabric
needle fence gate path bench fountain statue monument tower tunnel harbor canal brother sister mother father uncle
aunt cousin daughter son grandmother grandfather infant teenager adult stranger guest host visitor tourist traveler
guide pilot sailor farmer baker butcher carpenter painter sculptor composer poet author editor publisher journalist
photographer designer architect engineer scientist chemist physicist biologist historian philosopher economist
psychologist mathematician archive document manuscript map atlas globe compass clock diary notebook pencil eraser
ocean desert jungle valley canyon cliff cave waterfall stream pond meadow hill horizon sunrise sunset rainbow shadow
flame spark ember ash smoke crystal mineral metal diamond magnet acid enzyme hormone antibody tissue membrane synapse
chromosome mutation species predator fossil dinosaur mammal reptile spider butterfly beetle salmon dolphin elephant
monkey rabbit turtle ecosystem habitat climate reservoir turbine generator reactor refinery factory mill mine
satellite rocket capsule astronaut mission crater comet asteroid meteor myth legend hero villain ghost wizard dragon
giant prophecy ritual ceremony festival holiday parade virtue motive temptation paradox dilemma intuition instinct
memory illusion perception sensation symbol stanza verse rhyme chorus refrain narrator protagonist character plot
recursion algorithm heuristic permutation subset sequence integral derivative polynomial coefficient interval
histogram outlier median variance quantile regression correlation simulation auction dividend bond stock asset
liability ledger audit tariff subsidy quota merger bankruptcy statute clause amendment petition lawsuit plaintiff
defendant jury prosecutor appeal census province colony frontier refugee migrant ambassador embassy summit sanction
orchestra violin trumpet flute cello conductor quartet sonata opera ballet sculpture mural canvas portrait marathon
goalkeeper defender striker helmet racket paddle saddle trophy allergy bruise fracture fever cough headache migraine
infection surgery transplant therapy dosage prescription blender toaster kettle grill skillet whisk spatula freezer
pantry appetizer dessert beverage espresso noodle dumpling pancake omelet casserole marinade garnish avocado mushroom
pepper cucumber mango walnut almond
";

/// Regular verbs whose past form needs no doubled consonant.
pub(super) const VERBS: &str = "
use need want ask call seem help show turn start play move like live believe happen include continue change follow
create open walk offer remember consider appear serve expect stay reach remain suggest raise pass report decide
explain develop carry receive agree support produce describe cover return allow add compare improve measure reduce
increase provide require contain define declare assign store load save update remove replace insert delete filter sort
count group merge parse validate check handle process execute invoke render compile install configure enable disable
deploy monitor test debug trace profile optimize cache reuse rename copy paste export import convert translate
summarize review correct edit format highlight mention state claim argue prove assume imply confirm deny doubt
question discuss debate illustrate outline analyze evaluate assess estimate calculate predict observe explore discover
investigate examine identify recognize distinguish separate combine connect attach join mix share divide arrange
organize rank classify label select avoid prevent protect secure guard limit restrict extend expand enlarge shorten
simplify clarify complicate strengthen weaken balance adjust adapt modify alter transform encourage inspire motivate
persuade convince invite welcome thank praise reward punish blame criticize trust respect admire enjoy appreciate
value treasure love hate fear worry ignore notice miss learn study practice memorize repeat train coach guide assist
rescue heal treat cure diagnose cook bake boil roast grill season taste pour peel slice wash clean dry paint sketch
color decorate design shape carve polish repair assemble construct lift push pull press hammer mark weigh pack ship
deliver order purchase collect gather stack earn invest borrow owe charge bill refund donate trade negotiate manage
supervise hire promote employ recruit interview delegate schedule postpone delay cancel attend visit travel arrive
depart board navigate cross climb jump race chase escape attack defend invade conquer surrender govern rule elect
represent permit enforce violate obey inherit descend evolve survive multiply hatch absorb release attract orbit
rotate accelerate heat cool melt evaporate condense explode ignite extinguish encrypt decrypt hash sign verify
authenticate authorize archive restore replicate synchronize broadcast publish subscribe request respond reply answer
query index crawl scrape narrate rhyme compose perform record rehearse improvise dance entertain amuse surprise
confuse annoy
";

/// Irregular verbs: base, third person, past, gerund, participle.
pub(super) const IRREGULAR_VERBS: &str = "
make/makes/made/making/made find/finds/found/finding/found give/gives/gave/giving/given take/takes/took/taking/taken
get/gets/got/getting/got keep/keeps/kept/keeping/kept see/sees/saw/seeing/seen know/knows/knew/knowing/known
write/writes/wrote/writing/written run/runs/ran/running/run read/reads/read/reading/read
build/builds/built/building/built hold/holds/held/holding/held bring/brings/brought/bringing/brought
think/thinks/thought/thinking/thought send/sends/sent/sending/sent
understand/understands/understood/understanding/understood choose/chooses/chose/choosing/chosen
leave/leaves/left/leaving/left lose/loses/lost/losing/lost win/wins/won/winning/won
teach/teaches/taught/teaching/taught spend/spends/spent/spending/spent break/breaks/broke/breaking/broken
drive/drives/drove/driving/driven put/puts/put/putting/put set/sets/set/setting/set cut/cuts/cut/cutting/cut
plan/plans/planned/planning/planned stop/stops/stopped/stopping/stopped begin/begins/began/beginning/begun
sell/sells/sold/selling/sold buy/buys/bought/buying/bought draw/draws/drew/drawing/drawn feed/feeds/fed/feeding/fed
hide/hides/hid/hiding/hidden steal/steals/stole/stealing/stolen throw/throws/threw/throwing/thrown
forget/forgets/forgot/forgetting/forgotten grow/grows/grew/growing/grown prefer/prefers/preferred/preferring/preferred
split/splits/split/splitting/split rewrite/rewrites/rewrote/rewriting/rewritten wrap/wraps/wrapped/wrapping/wrapped
scan/scans/scanned/scanning/scanned
";

/// Adjectives that take `-ly`.
pub(super) const LATIN_ADJECTIVES: &str = "
clear simple careful different possible general specific common natural useful final usual recent current certain
complete direct exact correct separate similar typical formal serious obvious effective efficient accurate consistent
reliable stable flexible visible responsible reasonable comfortable valuable successful powerful helpful harmful
hopeful thoughtful meaningful graceful peaceful cheerful colorful faithful creative active passive positive negative
objective subjective competitive sensitive expensive extensive intensive aggressive attractive decisive defensive
destructive impressive inclusive innovative intuitive persuasive dangerous famous nervous generous curious previous
ambiguous anonymous cautious conscious continuous enormous gorgeous humorous mysterious numerous precious religious
rigorous spontaneous suspicious various political economic historic scientific academic automatic dramatic dynamic
electronic genetic organic romantic strategic systematic technical theoretical practical logical musical physical
chemical biological digital global local national international regional central normal annual mutual virtual visual
verbal moral legal illegal equal ideal brutal casual cultural ethical eventual external internal literal lateral
manual mental modest honest polite brief broad narrow deep warm cool calm fair firm loud quiet quick slow soft strong
weak sharp smooth rough tight loose bright dark proud strange sudden absolute accidental additional adequate ancient
apparent appropriate approximate artificial awkward bold brave busy clever clumsy confident constant convenient
crucial deliberate delicate desperate distinct diverse eager elegant elaborate evident excellent explicit fluent
fortunate frequent genuine gentle gradual happy heavy humble immediate implicit independent initial innocent
intelligent intense joint keen lazy literate lucky magnificent mild minimal moderate modular noble optimal original
painful partial particular patient permanent persistent personal playful pleasant plain precise primary private
profound prompt proper public pure radical random rapid rare relevant remote robust sad sane secret selfish sensible
shallow silent sincere skillful sober solid sparse steady stiff strict stubborn subtle superficial swift tedious
temporary tender terrible thorough tidy transparent tremendous ultimate unique universal urgent vague valid vast vital
vivid wise careless endless fearless harmless homeless hopeless reckless restless timeless useless worthless foolish
childish stylish feverish sluggish
";

/// Adjectives that take no `-ly`.
pub(super) const PLAIN_ADJECTIVES: &str = "
new good old great big small large long short high low young early late little next last whole main best better free
full empty open hot cold wet dry red blue green yellow white black gray brown golden wooden plastic metallic stone
modern daily weekly monthly yearly hourly friendly likely lively lovely costly orderly elderly tall fat thin thick
round flat square wide sweet sour salty spicy bitter fresh raw frozen rich poor cheap fast hard tough tiny huge giant
major minor upper lower inner outer nearby distant left right top single double triple half extra spare missing
unknown hidden broken closed tired hungry thirsty sleepy sick healthy injured pregnant married divorced retired
asynchronous concurrent nested recursive generic immutable mutable nullable serverless backward forward unfinished
unexpected uncommon unusual unlikely undefined unstable untested well-known long-term short-term real-time open-source
user-friendly high-level low-level full-time part-time old-fashioned
";

/// Adverbs that are not derived from an adjective.
pub(super) const ADVERBS: &str = "
also often only just still even now then always never usually sometimes again already almost really too very quite
rather soon later here there today together perhaps maybe instead indeed however therefore otherwise meanwhile
afterward somewhere everywhere twice once forever seldom rarely mostly nearly roughly barely hardly ahead abroad
upstream downstream overnight indoors outdoors likewise nonetheless
";

/// Prepositions.
pub(super) const PREPOSITIONS: &str = "
of in to for with on at from by about as into after over between through against during without before under around
among within along across behind beyond near above below beside despite inside outside toward upon throughout
alongside beneath
";

/// Names of people and places.
pub(super) const NAMES: &str = "
Anna Ben Clara David Elena Frank Grace Hugo Irene Jonas Karim Laura Mateo Nina Oscar Priya Quentin Rosa Samuel Tara
Umar Vera Wei Ximena Yusuf Zoe London Paris Berlin Madrid Rome Vienna Oslo Lisbon Dublin Athens Cairo Nairobi Lagos
Delhi Mumbai Tokyo Kyoto Seoul Beijing Sydney Toronto Chicago Boston Seattle Denver Austin Lima Quito Bogota Python
Rust Java Europe Asia Africa America Canada Mexico Brazil Chile Peru Spain Italy Germany Sweden Norway Poland Kenya
Egypt India China Japan Korea Newton Darwin Einstein Shakespeare Mozart Picasso Monday Tuesday Friday January March
";

/// Words and short expressions with letters outside ASCII.
pub(super) const FOREIGN: &str = "
café naïve résumé jalapeño piñata über Zürich São-Paulo Málaga Kraków fiancée déjà-vu crème-brûlée smörgåsbord
doppelgänger façade El-Niño señor garçon Ångström Gödel Schrödinger Erdős Dvořák Øresund Łódź Istanbul’da здравствуйте
Москва книга σοφία Ελλάδα 東京 日本語 你好 中文 한국어 서울 مرحبا שלום नमस्ते สวัสดี 🙂 🎉 ✅ 🚀 → ≤ ≈ π ½ €20 £15 ¥500 25°C
";
