//! A store that is only reached by asking until it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use tokio::runtime::Runtime;

use super::client;
use crate::error::{Error, Result};

/// Between two askings where no answer came: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Asked {
    store: Arc<dyn ObjectStore>,
    /// How long it is asked again where no answer comes.
    wait: Duration,
    runtime: Runtime,
}

impl Asked {
    pub(super) fn new(store: Arc<dyn ObjectStore>, wait: Duration) -> Result<Asked> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::io("start", "the network"))?;
        Ok(Asked { store, wait, runtime })
    }

    /// Asks until an answer comes, for as long as is waited for one. The client by itself asks again only where it
    /// knows that nothing was done, which a connection that is reset does not tell.
    pub(super) fn ask<T>(
        &self,
        mut ask: impl AsyncFnMut(&dyn ObjectStore) -> Result<T, object_store::Error>,
    ) -> Result<T, object_store::Error> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        self.runtime.block_on(async {
            loop {
                match ask(&*self.store).await {
                    Err(e) if client::is_unanswered(&e) && begun.elapsed() + pause < self.wait => {
                        tokio::time::sleep(pause).await;
                        pause = (2 * pause).min(LONGEST_PAUSE);
                    }
                    done => return done,
                }
            }
        })
    }
}
