//! The visible output of the servers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tests::servers::PrivateRedis;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use url::Url;

use crate::search::Artifact;

/// A monitor of every command that Redis gets, across restarts.
#[derive(Debug)]
pub(crate) struct Monitor {
    seen: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Monitor {
    pub(crate) fn start(redis: &PrivateRedis, password: &str) -> Self {
        let address = Url::parse(&redis.url).expect("an address");
        let address = format!("127.0.0.1:{}", address.port().expect("a port"));
        let (seen, password) = (Arc::new(Mutex::default()), password.to_owned());
        let task = tokio::spawn(watch(address, password, Arc::clone(&seen)));
        Self { seen, task }
    }

    /// Returns the commands so far.
    pub(crate) fn place(&self) -> Artifact {
        Artifact::new("the commands of Redis", self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(address: String, password: String, seen: Arc<Mutex<Vec<u8>>>) {
    let sign_in = format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\nMONITOR\r\n", password.len());
    loop {
        // There are no commands while Redis is down.
        if let Ok(mut stream) = TcpStream::connect(&address).await
            && stream.write_all(sign_in.as_bytes()).await.is_ok()
        {
            let mut chunk = vec![0; 16 * 1024];
            while let Ok(size @ 1..) = stream.read(&mut chunk).await {
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..size]);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns every key of a Redis with its value.
pub(crate) async fn contents(redis: &PrivateRedis) -> Artifact {
    let client = redis::Client::open(redis.url.as_str()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis responds");
    let plain = ["SET", "rdbcompression", "no"];
    let () = redis::cmd("CONFIG").arg(&plain).query_async(&mut connection).await.expect("Redis obeys");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("keys");
    let mut bytes = Vec::new();
    for key in keys {
        bytes.extend_from_slice(&key);
        let value: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await.expect("a value");
        bytes.extend(value.unwrap_or_default());
    }
    Artifact::new("what Redis keeps", bytes)
}
