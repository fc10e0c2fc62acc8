//! How a person or a supervisor asks a command to end.

use crate::error::{Error, Result};

/// Ctrl-C and SIGTERM.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub fn new() -> Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind: SignalKind| signal(kind).map_err(Error::io("listen for", "signals"));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt })
    }

    #[cfg(not(unix))]
    pub fn new() -> Result<Signals> {
        Ok(Signals {})
    }

    #[cfg(unix)]
    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub async fn any(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
