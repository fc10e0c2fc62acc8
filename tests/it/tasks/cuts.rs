//! A network that loses answers: connections to a server through it are cut, some before an answer and some in one.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

pub struct Cuts {
    pub port: u16,
    cut: Arc<AtomicU64>,
    /// Dropped, it ends the network.
    _stop: oneshot::Sender<()>,
}

impl Cuts {
    /// Of every so many pieces of answers one is lost.
    pub fn before(server: u16, every: u64) -> Cuts {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let (pieces, cut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = cut.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let relayed = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let (pieces, cut) = (pieces.clone(), cut.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
                    let is_lost = |piece: &[u8]| {
                        let number = pieces.fetch_add(1, Ordering::Relaxed) + 1;
                        let kept = if number.is_multiple_of(2 * every) { 0 } else { piece.len() / 2 };
                        number.is_multiple_of(every).then_some(kept)
                    };
                    let was_lost = tokio::select! {
                        ended = relay(&client, &server, |_| None) => ended?,
                        ended = relay(&server, &client, is_lost) => ended?,
                    };
                    if was_lost {
                        cut.fetch_add(1, Ordering::Relaxed);
                        // Reset, and not closed in order.
                        client.set_zero_linger()?;
                    }
                    Ok::<_, io::Error>(())
                });
            }
        };
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = relayed => {}
                    _ = stopped => {}
                }
            });
        });
        Cuts { port, cut: counted, _stop: stop }
    }

    /// How often it has cut a connection.
    pub fn count(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }
}

/// Passes bytes on until one side has no more, or a piece is lost: of that, so much is passed on. Whether one was.
async fn relay(
    from: &TcpStream,
    to: &TcpStream,
    is_lost: impl Fn(&[u8]) -> Option<usize>,
) -> io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        from.readable().await?;
        let read = match from.try_read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        };
        let kept = is_lost(&buffer[..read]);
        let mut rest = &buffer[..kept.unwrap_or(read)];
        while !rest.is_empty() {
            to.writable().await?;
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        if kept.is_some() {
            return Ok(true);
        }
    }
}
