//! An HTTP endpoint that takes messages, and may do so badly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Takes,
    /// Says no, and has not taken it.
    Answers(u16),
    /// Shows a login page, and has not taken it.
    ShowsAPage,
    /// Takes it, and does not answer in time.
    TakesAndHangs,
    /// Takes it, and answers a little later.
    TakesLate,
    /// Takes it, and cuts the line.
    TakesAndCuts,
    /// Cuts the line before it has taken it.
    Cuts,
}

pub type Script = Box<dyn Fn(usize) -> Does + Send + Sync>;

/// One that looks at what it is asked.
pub type Reader = Box<dyn Fn(usize, &Taken) -> Does + Send + Sync>;

/// A request that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub head: String,
    pub body: Vec<u8>,
}

impl Taken {
    pub fn is_batch(&self) -> bool {
        self.head.to_lowercase().contains("content-type: application/cloudevents-batch+json")
    }

    /// Its events, each to the byte.
    pub fn events(&self) -> Vec<Vec<u8>> {
        if !self.is_batch() {
            return vec![self.body.clone()];
        }
        let events: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&self.body).unwrap();
        events.into_iter().map(|event| event.get().as_bytes().to_vec()).collect()
    }

    pub fn users(&self) -> Vec<String> {
        let user = |event: &Vec<u8>| {
            let text = String::from_utf8_lossy(event).into_owned();
            let user = text.split("\"user_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
            user.unwrap_or_default().to_string()
        };
        self.events().iter().map(user).collect()
    }
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: usize,
    batches: usize,
    taken: Vec<Taken>,
    under_way: Vec<String>,
    /// Of one user at one time.
    most_of_a_user: usize,
}

pub struct Endpoint {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

pub const HANGS_FOR: Duration = Duration::from_millis(600);

impl Endpoint {
    pub fn start(script: Script) -> Endpoint {
        Endpoint::start_reading(Box::new(move |number, _| script(number)))
    }

    pub fn start_reading(script: Reader) -> Endpoint {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (script, shared) = (Arc::new(script), seen.clone());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen) = (script.clone(), shared.clone());
                seen.lock().unwrap().connections += 1;
                std::thread::spawn(move || drop(serve(stream, &script, &seen)));
            }
        });
        Endpoint { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Requests with a batch, taken or not.
    pub fn batches(&self) -> usize {
        self.seen.lock().unwrap().batches
    }

    /// The events of every request that was taken.
    pub fn events(&self) -> Vec<Vec<u8>> {
        self.taken().iter().flat_map(Taken::events).collect()
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.seen.lock().unwrap().taken.clone()
    }

    pub fn most_of_a_user(&self) -> usize {
        self.seen.lock().unwrap().most_of_a_user
    }
}

fn serve(stream: TcpStream, script: &Reader, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    stream.set_nodelay(true)?;
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let taken = Taken { head, body };
        let users = taken.users();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.requests += 1;
            seen.batches += usize::from(taken.is_batch());
            for user in &users {
                seen.under_way.push(user.clone());
                let of_user = seen.under_way.iter().filter(|other| *other == user).count();
                seen.most_of_a_user = seen.most_of_a_user.max(of_user);
            }
            seen.requests
        };
        // The script may kill who asks, before or behind the taking.
        let does = script(number, &taken);
        if !matches!(does, Does::Answers(_) | Does::ShowsAPage | Does::Cuts) {
            seen.lock().unwrap().taken.push(taken);
        }
        let says =
            if matches!(does, Does::ShowsAPage) { "\n<!DOCTYPE html><title>Log in</title>" } else { "ok" };
        let status = match does {
            Does::Takes | Does::ShowsAPage => 200,
            Does::Answers(status) => status,
            Does::TakesLate => {
                std::thread::sleep(Duration::from_millis(15));
                200
            }
            Does::TakesAndHangs => {
                std::thread::sleep(HANGS_FOR);
                200
            }
            Does::TakesAndCuts | Does::Cuts => 0,
        };
        {
            let mut seen = seen.lock().unwrap();
            for user in &users {
                let at = seen.under_way.iter().position(|other| other == user).unwrap();
                seen.under_way.swap_remove(at);
            }
        }
        if status == 0 {
            return Ok(());
        }
        write!(stream, "HTTP/1.1 {status} said\r\ncontent-length: {}\r\n\r\n{says}", says.len())?;
    }
}
