//! The HTTP server. It accepts connections, gives each request to the application, and cuts
//! connections that wait for nothing.
//!
//! It speaks HTTP/1.1 only, as the routers in front of it do. One request at a time on a connection
//! bounds its cost.

mod answer;
mod connections;
mod socket;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Addr, Endpoint,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    connections::{Connection, Connections},
    socket::Socket,
};
use crate::{AppState, app, budgets::Budgets};

/// The time that running requests have when the process is to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// The largest head of a request, and the most headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;

/// The buffer of the system for a response that nobody reads. The system doubles it.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// The most connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The wait after a failed accept, for example if no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The response to a connection for which there is no room.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Listens on an address.
pub async fn listen(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let mut last = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("the host has no address")))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit the size.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`. Running requests may then end.
pub async fn serve(listener: TcpListener, state: AppState, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    let local = listener.local_addr()?;
    let budgets = state.budgets.clone();
    let is_behind_proxies = state.trusted_proxies > 0;
    let connections = Connections::new(state.http.connections, is_behind_proxies);
    let app = Arc::new(app(state));
    // Making the application takes a fraction of a second; now a request is served at once.
    tracing::info!(addr = %format_args!("socket://{local}"), "admin listens");
    let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(connection) = connections.open(peer.ip()) else {
            refuse(stream);
            continue;
        };
        tasks.spawn(connect(stream, (local, peer), connection, app.clone(), budgets.clone(), stopping.clone()));
    }
    drop(listener);
    stopping.cancel();
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("requests still run, and are given up");
        connections.close_all();
        tasks.wait().await;
    }
    Ok(())
}

/// Writes as much of the refusal as fits, without waiting for the client.
fn refuse(mut stream: TcpStream) {
    tokio::spawn(tokio::time::timeout(Duration::from_secs(1), async move {
        let _ = stream.write_all(REFUSAL).await;
        let _ = stream.shutdown().await;
    }));
}

/// Serves one connection to its end.
async fn connect<E>(
    stream: TcpStream,
    (local, peer): (SocketAddr, SocketAddr),
    connection: Connection,
    app: Arc<E>,
    budgets: Budgets,
    stopping: CancellationToken,
) where
    E: Endpoint<Output = poem::Response> + 'static,
{
    let _ = stream.set_nodelay(true);
    let activity = connection.activity();
    let service = service_fn(|request: Request<Incoming>| {
        let (app, budgets) = (Arc::clone(&app), budgets.clone());
        let running = activity.begin_request();
        async move {
            let addresses = (LocalAddr(Addr::from(local)), RemoteAddr(Addr::from(peer)));
            let request = poem::Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
            let response = app.get_response(request).await;
            Ok::<Response<_>, Infallible>(answer::hold(response, running, &budgets.bodies))
        }
    });
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // Our own timeouts tell an unfinished head from an idle connection.
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    tokio::pin!(serving);
    tokio::select! {
        _ = &mut serving => return,
        () = connection.given_up() => return,
        () = stopping.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = serving => {}
        () = connection.given_up() => {}
    }
}
