//! A server of files that does what a test says, byte by byte: no HTTP library would misbehave so.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// The key that came with it.
    pub key: Option<String>,
}

/// Answers one request on each connection until the test ends.
pub struct FileServer {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FileServer {
    /// Answers by `answer`, which gets the path, how often that was asked for before, and the connection.
    pub fn start(answer: impl Fn(&str, usize, &mut TcpStream) + Send + Sync + 'static) -> FileServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || serve(stream.unwrap(), &*answer, &seen));
            }
        });
        FileServer { address, asked }
    }

    /// An address of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&str, usize, &mut TcpStream) + Send + Sync),
    seen: &Mutex<Vec<Asked>>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let headers = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect::<Vec<_>>();
    let key = headers.iter().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(Asked { path: path.clone(), key });
        seen.iter().filter(|asked| asked.path == path).count() - 1
    };
    answer(&path, before, &mut stream);
}

/// A whole answer.
pub fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n", body.len());
    // Whoever has enough may be gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}
