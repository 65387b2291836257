//! A TCP proxy in front of a server: it can cut, slow down and swallow the traffic.

use std::{io, time::Duration};

use reqwest::Url;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The proxy's treatment of bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Lets everything through.
    Whole,
    /// Delays each chunk by this time.
    Slow(Duration),
    /// Closes every connection, also new ones.
    Cut,
    /// Keeps connections open and lets nothing through, like a network partition.
    Silent,
}

/// A proxy in front of one server.
#[derive(Debug)]
pub struct Proxy {
    /// The server's address with the proxy in its place.
    pub url: String,
    network: watch::Sender<Network>,
    forgotten: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `url`.
    ///
    /// # Panics
    /// If `url` names no host and port.
    pub async fn before(url: &str) -> Self {
        let mut url = Url::parse(url).expect("an address");
        let host = url.host_str().expect("a host").to_owned();
        let server = (host, url.port().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        url.set_host(Some("127.0.0.1")).expect("a host fits");
        url.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port fits");
        let (network, seen) = watch::channel(Network::Whole);
        let forgotten = watch::Sender::new(());
        let forgetting = forgotten.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server.clone(), seen.clone(), forgetting.subscribe()));
            }
        });
        Self { url: url.to_string(), network, forgotten, accepting }
    }

    /// Changes the treatment of present and future connections.
    pub fn make(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Silently drops all further traffic on the present connections, like a restarted router.
    pub fn forget(&self) {
        self.forgotten.send_replace(());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(
    client: TcpStream,
    server: (String, u16),
    mut network: watch::Receiver<Network>,
    forgotten: watch::Receiver<()>,
) -> io::Result<()> {
    if *network.borrow_and_update() == Network::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(server).await?;
    // Otherwise small messages wait for each other, and the proxy itself is slow.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pump(from_client, to_server, network.clone(), forgotten.clone()) => ended,
        ended = pump(from_server, to_client, network.clone(), forgotten.clone()) => ended,
        _ = network.wait_for(|network| *network == Network::Cut) => Ok(()),
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    network: watch::Receiver<Network>,
    mut forgotten: watch::Receiver<()>,
) -> io::Result<()> {
    tokio::select! {
        ended = carry(&mut from, &mut to, network) => ended,
        // Both ends stay open.
        Ok(()) = forgotten.changed() => std::future::pending().await,
    }
}

async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut network: watch::Receiver<Network>,
) -> io::Result<()> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let seen = *network.wait_for(|network| *network != Network::Silent).await.map_err(io::Error::other)?;
        if let Network::Slow(delay) = seen {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}
