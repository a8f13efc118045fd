use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Longer than anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(500)).await;
            "hello"
        };
        let app =
            Router::new().route("/", axum::routing::get(async || "hello")).route("/slow", axum::routing::get(slow));
        let task = tokio::spawn(async move {
            match accept(&listener, &app, (limits, &limits.room()), &GracefulShutdown::new()).await {}
        });
        Self { address, task }
    }

    /// A connection that has sent this and nothing more.
    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything until the server hangs up.
async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    // Being reset is being hung up on as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the server hangs up");
    received
}

async fn is_answered(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut answer = [0; 12];
    match timeout(patience, stream.read_exact(&mut answer)).await {
        Ok(read) => {
            read.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            true
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn connections_that_send_no_request_are_closed() {
    let server = Server::start(Limits { head_timeout: Duration::from_millis(200), connections: 100 }).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let silent: Vec<_> = [&b""[..], b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", &preface[..10], preface]
        .into_iter()
        .map(|sent| async { until_closed(server.send(sent).await).await })
        .collect();
    for closed in silent {
        closed.await;
    }
    let answered = until_closed(server.send(REQUEST).await).await;
    assert!(answered.starts_with(b"HTTP/1.1 200"), "one that idles after an answer is closed too, but not before");
}

#[tokio::test]
async fn only_waiting_for_a_request_is_bounded() {
    let server = Server::start(Limits { head_timeout: Duration::from_millis(300), connections: 100 }).await;
    let mut busy = server.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut whole = Vec::new();
    let mut read = async |stream: &mut TcpStream| {
        while !whole.ends_with(b"hello") {
            let count = timeout(PATIENCE, stream.read_buf(&mut whole)).await.expect("an answer").unwrap();
            assert_ne!(count, 0, "hung up");
        }
        whole.clear();
    };
    read(&mut busy).await;
    // Longer than the limit altogether, but never for one request.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        busy.write_all(REQUEST).await.unwrap();
        read(&mut busy).await;
    }
    let began = Instant::now();
    busy.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    until_closed(busy).await;
    assert!(began.elapsed() >= Duration::from_millis(250), "the head has its time");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_until_there_is_room() {
    let server = Server::start(Limits { head_timeout: PATIENCE * 2, connections: 2 }).await;
    let (mut first, mut second) = (server.send(REQUEST).await, server.send(REQUEST).await);
    assert!(is_answered(&mut first, PATIENCE).await && is_answered(&mut second, PATIENCE).await);
    let mut third = server.send(REQUEST).await;
    assert!(!is_answered(&mut third, Duration::from_millis(300)).await, "two are open already");
    drop(first);
    assert!(is_answered(&mut third, PATIENCE).await);
    drop(second);
}

#[tokio::test]
async fn silent_connections_make_room_for_others() {
    let server = Server::start(Limits { head_timeout: Duration::from_millis(200), connections: 4 }).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.send(b"").await);
    }
    assert!(is_answered(&mut server.send(REQUEST).await, PATIENCE).await);
}

#[test]
fn the_number_of_connections_follows_the_file_descriptors() {
    assert_eq!(connections(Some(1_024)), 896);
    assert_eq!(connections(Some(20)), 16);
    assert_eq!(connections(Some(1_048_576)), 16_384);
    assert_eq!(connections(None), 16_384);
}

#[test]
fn trouble_is_logged_now_and_then() {
    let (mut trouble, begin) = (Seldom::default(), Instant::now());
    let mut lines = |tries: std::ops::Range<u32>| tries.filter(|&tr| trouble.is_due(begin + ACCEPT_PAUSE * tr)).count();
    assert_eq!(lines(0..40), 1);
    assert_eq!(lines(40..120), 2);
}

#[tokio::test]
async fn whoever_was_let_in_before_the_end_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = Router::new().route("/", axum::routing::get(async || "hello"));
    let limits = Limits { head_timeout: PATIENCE, connections: 100 };
    let mut early = Vec::new();
    for sent in [REQUEST, REQUEST, b""] {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        early.push(stream);
    }
    let (watched, address) = (GracefulShutdown::new(), listener.local_addr().unwrap());
    let late = early.pop().unwrap();
    // This one sends its request a moment later.
    let late = tokio::spawn(async move {
        let mut late = late;
        tokio::time::sleep(LAST / 10).await;
        late.write_all(REQUEST).await.unwrap();
        late
    });
    accept_last(listener, &app, (limits, &limits.room()), &watched).await;
    TcpStream::connect(address).await.expect_err("nobody is let in any more");
    early.push(late.await.unwrap());
    let ended = tokio::spawn(watched.shutdown());
    for stream in early {
        let answer = until_closed(stream).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    timeout(PATIENCE, ended).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_comes_however_many_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", axum::routing::get(async || "hello"));
    let limits = Limits { head_timeout: PATIENCE, connections: 10_000 };
    let stopped = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood = std::thread::spawn({
        let stopped = std::sync::Arc::clone(&stopped);
        move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                drop(std::net::TcpStream::connect(address));
            }
        }
    });
    let ended =
        timeout(PATIENCE, accept_waiting(&listener, &app, (limits, &limits.room()), &GracefulShutdown::new())).await;
    stopped.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().unwrap();
    ended.expect("it ends");
}

#[tokio::test]
async fn no_more_are_let_in_at_the_end_than_there_is_room_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = Router::new().route("/", axum::routing::get(async || "hello"));
    let limits = Limits { head_timeout: PATIENCE, connections: 3 };
    let mut early = Vec::new();
    for _ in 0..3 {
        early.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    }
    let (room, watched) = (limits.room(), GracefulShutdown::new());
    // Two are open already.
    let open = Arc::clone(&room).acquire_many_owned(2).await.unwrap();
    accept_waiting(&listener, &app, (limits, &room), &watched).await;
    assert_eq!((watched.count(), room.available_permits()), (1, 0));
    drop(open);
}
