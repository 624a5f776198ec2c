//! Attachments that can be fetched: small real files that are made from their names, at addresses that are signed and expire.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::gate::Shared;
use super::parameters::decode;
use crate::generate::FILES;

/// How attachments are served.
#[derive(Clone, Debug)]
pub struct Attachments {
    /// How long an address may be asked.
    pub lifetime: Duration,
    /// How many bytes a picture has, at least.
    pub picture_bytes: usize,
}

impl Default for Attachments {
    /// Pictures of some KB, for an hour.
    fn default() -> Attachments {
        Attachments { lifetime: Duration::from_secs(60 * 60), picture_bytes: 2_000 }
    }
}

/// Where they are.
const PATH: &str = "/attachments/";

/// Tells forged signatures from ours.
const SEAL_SEED: u64 = 0x0061_7474_6163_6873;

/// The longest answer whose addresses are signed.
const MOST_BYTES: usize = 1 << 30;

/// Serves them: no key is asked for, the address is one.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/attachments/{name}", get(attachment))
}

async fn attachment(State(shared): State<Arc<Shared>>, Path(name): Path<String>, uri: Uri) -> Response {
    shared.take_time().await;
    let Some(options) = shared.attachments() else { return StatusCode::NOT_FOUND.into_response() };
    let query = decode(uri.query().unwrap_or_default());
    let value = |wanted: &str| query.iter().find(|(key, _)| key == wanted).map_or("", |(_, value)| value.as_str());
    let expires = value("Expires").parse().unwrap_or(0);
    if value("Signature") != signature(&name, expires) || expires < now() {
        return (StatusCode::FORBIDDEN, "this address is not signed, or has expired").into_response();
    }
    let (media_type, bytes) = made_of(&name, options.picture_bytes);
    ([(CONTENT_TYPE, media_type)], bytes).into_response()
}

/// Signs the addresses of attachments in what the API answers.
pub(super) async fn sign(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let response = next.run(request).await;
    let (Some(options), Some(host)) = (shared.attachments(), host) else { return response };
    if !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A body that ends too early goes on as it is: whoever broke it wanted that.
    if parts.extensions.get::<super::server::Ending>().is_some() {
        return Response::from_parts(parts, body);
    }
    let Ok(body) = to_bytes(body, MOST_BYTES).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let signed = signed(&body, &format!("http://{host}{PATH}"), now() + options.lifetime.as_secs());
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(signed))
}

/// JSON whose generated addresses of files are such that can be asked here.
fn signed(json: &[u8], base: &str, expires: u64) -> Vec<u8> {
    let opening = format!("\"{FILES}");
    let mut signed = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = memmem::find(rest, opening.as_bytes()) {
        let (before, found) = rest.split_at(at);
        let behind = found.get(opening.len()..).unwrap_or_default();
        let Some(end) = behind.iter().position(|byte| *byte == b'"') else { break };
        let (name, next) = behind.split_at(end);
        signed.extend_from_slice(before);
        signed.push(b'"');
        signed.extend_from_slice(base.as_bytes());
        signed.extend_from_slice(name);
        let signature = signature(&String::from_utf8_lossy(name), expires);
        signed.extend_from_slice(format!("?Expires={expires}&Signature={signature}").as_bytes());
        rest = next;
    }
    signed.extend_from_slice(rest);
    signed
}

fn signature(name: &str, expires: u64) -> String {
    format!("{:016x}", xxh3_64_with_seed(format!("{name} {expires}").as_bytes(), SEAL_SEED))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The file of a name, and what it is.
fn made_of(name: &str, picture_bytes: usize) -> (&'static str, Vec<u8>) {
    let seed = xxh3_64_with_seed(name.as_bytes(), 0);
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "png" => ("image/png", picture(seed, picture_bytes)),
        "mp3" => {
            ("audio/mpeg", [b"ID3\x04\0\0\0\0\0\0".as_slice(), &grain(seed).take(4_000).collect::<Vec<_>>()].concat())
        }
        "pdf" => ("application/pdf", format!("%PDF-1.4\n% {name}\n%%EOF\n").into_bytes()),
        _ => ("text/plain; charset=utf-8", format!("This is what is said in {name}.\n").into_bytes()),
    }
}

/// A square picture in two colours of its own, with some grain. Nothing is compressed: the time should go to who asks.
fn picture(seed: u64, bytes: usize) -> Vec<u8> {
    let side = (bytes as f64 / 3.0).sqrt().ceil().max(1.0) as u32;
    let [red, green, blue, ..] = seed.to_le_bytes();
    let mut grain = grain(seed);
    let mut rows = Vec::with_capacity((side * (side * 3 + 1)) as usize);
    for row in 0..side {
        // No filter.
        rows.push(0);
        for column in 0..side {
            let is_dark = (row / 8 + column / 8) % 2 == 0;
            let pixel = [red, green, blue].map(|own| if is_dark { own / 2 } else { own });
            rows.extend(pixel.into_iter().zip(&mut grain).map(|(own, grain)| own ^ grain & 15));
        }
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
    // Writing into memory does not fail.
    let _ = packed.write_all(&rows);
    let packed = packed.finish().unwrap_or_default();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let [width, height] = [side, side].map(u32::to_be_bytes);
    // Eight bits a channel, red, green and blue.
    push_chunk(b"IHDR", &[width.as_slice(), &height, &[8, 2, 0, 0, 0]].concat(), &mut png);
    push_chunk(b"IDAT", &packed, &mut png);
    push_chunk(b"IEND", b"", &mut png);
    png
}

fn push_chunk(kind: &[u8; 4], data: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(data);
    to.extend_from_slice(kind);
    to.extend_from_slice(data);
    to.extend_from_slice(&sum.sum().to_be_bytes());
}

/// Bytes that look like none.
fn grain(seed: u64) -> impl Iterator<Item = u8> {
    (0..).map(move |at: u32| (seed.rotate_left(at) ^ u64::from(at)).to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_are_signed_and_no_others() {
        let json = format!(r#"{{"url":"{FILES}0a.png","text":"see {FILES}0a.png","name":"a"}}"#);
        let text = String::from_utf8(signed(json.as_bytes(), "http://host/attachments/", 7)).unwrap();
        let signature = signature("0a.png", 7);
        let expected = format!(
            r#"{{"url":"http://host/attachments/0a.png?Expires=7&Signature={signature}","text":"see {FILES}0a.png","name":"a"}}"#
        );
        assert_eq!(text, expected);
        assert_ne!(signature, super::signature("0a.png", 8));
        assert_ne!(signature, super::signature("0b.png", 7));
    }

    #[test]
    fn files_are_what_they_say_and_always_the_same() {
        for (name, expected) in [("a.png", "image/png"), ("a.mp3", "audio/mpeg"), ("a.pdf", "application/pdf")] {
            let (media_type, bytes) = made_of(name, 5_000);
            assert_eq!((media_type, infer::get(&bytes).unwrap().mime_type()), (expected, expected));
            assert_eq!(bytes, made_of(name, 5_000).1);
        }
        assert!(made_of("a.png", 50_000).1.len() > 50_000);
        assert_ne!(made_of("a.png", 5_000), made_of("b.png", 5_000));
    }
}
