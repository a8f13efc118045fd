//! The rates of several servers, loaded in turns of a moment each: a machine that is slower for a while is slower for all
//! of them. The load never sleeps, since a server pays for waking a client on the same machine, and pays more the slower it
//! is itself.

use std::error::Error;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

use crate::Turns;
use crate::session::now;

/// How long one is loaded before it is the next one's turn.
const TURN: Duration = Duration::from_millis(50);
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most headers of an answer.
const MOST_HEADERS: usize = 64;

type Failure = Box<dyn Error>;

pub(crate) fn run(load: &Turns) -> Result<Value, Failure> {
    let mut lanes = Vec::new();
    for lane in load.lanes.chunks(2) {
        let [url, tokens] = lane else { return Err("a URL without a token".into()) };
        lanes.push(Lane::connect(url, tokens, load.connections)?);
    }
    let mut events = Events::with_capacity(load.connections as usize);
    // The first turn of each does not count.
    for turn in 0..=load.turns {
        // There and back, so that a drift hits all alike.
        let mut order: Vec<&mut Lane> = lanes.iter_mut().collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for lane in order {
            let (answered, took) = lane.take_turn(&mut events).map_err(|error| format!("{}: {error}", lane.url))?;
            lane.loaded += took;
            if turn > 0 {
                (lane.answered, lane.counted) = (lane.answered + answered, lane.counted + took);
            }
        }
    }
    let lanes = lanes.iter().map(|lane| {
        let per_second = f64::from(lane.answered) / lane.counted.as_secs_f64();
        json!({ "per_second": per_second, "loaded_seconds": lane.loaded.as_secs_f64() })
    });
    Ok(json!({ "lanes": lanes.collect::<Vec<_>>() }))
}

/// What is loaded, and what came of it.
struct Lane {
    url: String,
    requests: Requests,
    poll: Poll,
    connections: Vec<Connection>,
    /// Answers of the turns that count, and how long those took.
    answered: u32,
    counted: Duration,
    /// How long all turns took.
    loaded: Duration,
}

impl Lane {
    fn connect(url: &str, tokens: &str, connections: u32) -> Result<Self, Failure> {
        let rest = url.strip_prefix("http://").ok_or("only http:// is loaded")?;
        let (host, path) = rest.split_once('/').ok_or("a URL has a path")?;
        let requests = Requests {
            head: format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer "),
            tokens: Tokens::read(tokens)?,
            request: Vec::new(),
        };
        let poll = Poll::new()?;
        let connections = (0..connections).map(|number| Connection::open(host, &poll, number as usize));
        let connections = connections.collect::<Result<_, _>>()?;
        let (url, counted, loaded) = (url.to_owned(), Duration::ZERO, Duration::ZERO);
        Ok(Self { url, requests, poll, connections, answered: 0, counted, loaded })
    }

    /// Keeps every connection busy for the time of a turn; how many answers came, and how long that took. The last ones come
    /// after the turn.
    fn take_turn(&mut self, events: &mut Events) -> Result<(u32, Duration), Failure> {
        let began = now();
        let end = began + TURN;
        let (mut answered, mut waiting) = (0, self.connections.len());
        for connection in &mut self.connections {
            connection.send(self.requests.next()?)?;
        }
        while waiting > 0 {
            self.poll.poll(events, Some(Duration::ZERO))?;
            let time = now();
            if time > end + PATIENCE {
                return Err("no answer".into());
            }
            for event in &*events {
                let connection = &mut self.connections[event.token().0];
                if !connection.is_answered()? {
                    continue;
                }
                answered += 1;
                if time < end {
                    connection.send(self.requests.next()?)?;
                } else {
                    waiting -= 1;
                }
            }
        }
        Ok((answered, now().saturating_duration_since(began)))
    }
}

/// What is sent, one after the other.
struct Requests {
    head: String,
    tokens: Tokens,
    request: Vec<u8>,
}

impl Requests {
    fn next(&mut self) -> Result<&[u8], Failure> {
        self.request.clear();
        for part in [&self.head, self.tokens.next()?, "\r\n\r\n"] {
            self.request.extend_from_slice(part.as_bytes());
        }
        Ok(&self.request)
    }
}

enum Tokens {
    Same(String),
    /// Each line once.
    Each {
        lines: String,
        from: usize,
    },
}

impl Tokens {
    fn read(argument: &str) -> Result<Self, Failure> {
        Ok(match argument.strip_prefix('@') {
            None => Self::Same(argument.to_owned()),
            Some(file) => Self::Each { lines: fs::read_to_string(file)?, from: 0 },
        })
    }

    fn next(&mut self) -> Result<&str, Failure> {
        match self {
            Self::Same(token) => Ok(token),
            Self::Each { lines, from } => {
                let (token, _) = lines[*from..].split_once('\n').ok_or("the tokens have run out")?;
                *from += token.len() + 1;
                Ok(token)
            }
        }
    }
}

/// A connection with at most one request on its way.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    fn open(host: &str, poll: &Poll, number: usize) -> Result<Self, Failure> {
        let stream = std::net::TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// A request is small: what the system does not take at once, it never will.
    fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        if self.stream.write(request)? < request.len() {
            return Err("a request was not taken whole".into());
        }
        Ok(())
    }

    /// Reads what is there; whether the answer is complete then. One that is not 2xx is an error.
    fn is_answered(&mut self) -> Result<bool, Failure> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the connection was closed".into()),
                Ok(read) => {
                    self.answer.extend_from_slice(&chunk[..read]);
                    // The system tells again of what comes later.
                    if read < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        match length(&self.answer)? {
            Some(length) if length < self.answer.len() => Err("more than one answer".into()),
            Some(length) if length == self.answer.len() => {
                self.answer.clear();
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }
}

/// How long an answer is with its body, if its head is complete.
fn length(answer: &[u8]) -> Result<Option<usize>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_length) = head.parse(answer)? else { return Ok(None) };
    let status = head.code.unwrap_or_default();
    if !(200..300).contains(&status) {
        return Err(format!("the answer {status}").into());
    }
    let body = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body = body.ok_or("an answer without Content-Length")?;
    Ok(Some(head_length + std::str::from_utf8(body.value)?.parse::<usize>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(length(answer.as_bytes()).unwrap(), Some(answer.len()));
        assert_eq!(length(&answer.as_bytes()[..20]).unwrap(), None);
    }

    #[test]
    fn errors_are_never_speed() {
        for answer in [
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert!(length(answer.as_bytes()).is_err(), "{answer}");
        }
    }

    #[test]
    fn each_token_of_a_file_is_sent_once() {
        let mut tokens = Tokens::Each { lines: "a\nbc\n".to_owned(), from: 0 };
        assert_eq!([tokens.next().unwrap().to_owned(), tokens.next().unwrap().to_owned()], ["a", "bc"]);
        assert!(tokens.next().is_err());
    }
}
