//! One end of a WebSocket on a real connection, as bytes behind the handshake.

use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::gateway::Heard;

/// One end. Nothing that is said here gets lost, even before the connection is there.
#[derive(Debug)]
pub struct SocketEnd {
    heard: Mutex<Heard>,
    /// None: this end has hung up.
    say: Mutex<Option<UnboundedSender<Vec<u8>>>>,
    said: Mutex<Option<UnboundedReceiver<Vec<u8>>>>,
}

impl Default for SocketEnd {
    fn default() -> Self {
        let (say, said) = unbounded_channel();
        Self {
            heard: Mutex::default(),
            say: Mutex::new(Some(say)),
            said: Mutex::new(Some(said)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SocketEnd {
    /// Says something.
    pub fn say(&self, bytes: &[u8]) {
        if let Some(say) = &*lock(&self.say) {
            let (Ok(()) | Err(_)) = say.send(bytes.to_vec());
        }
    }

    /// Hangs up.
    pub fn hang_up(&self) {
        lock(&self.say).take();
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }

    /// Says and hears until either side hangs up.
    pub async fn converse(&self, connection: impl AsyncRead + AsyncWrite) {
        let Some(mut said) = lock(&self.said).take() else {
            return;
        };
        let (mut reader, mut writer) = split(connection);
        let mut piece = vec![0; 16 * 1024];
        loop {
            tokio::select! {
                words = said.recv() => {
                    let Some(words) = words else { break };
                    if writer.write_all(&words).await.is_err() || writer.flush().await.is_err() {
                        break;
                    }
                }
                read = reader.read(&mut piece) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(length) => {
                        let words = piece.get(..length).unwrap_or_default();
                        lock(&self.heard).bytes.extend_from_slice(words);
                    }
                },
            }
        }
        lock(&self.heard).over = true;
    }
}
