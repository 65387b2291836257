//! The server: binds, routes, serves.

use std::io;
use std::net::SocketAddr;

use poem::{EndpointExt, Route, Server};

use crate::connection::{Connections, CuttableAcceptor};
use crate::world::Worlds;
use crate::{control, drive, identity, meta, openai, publer};

/// A sandbox that is bound to its address and ready to serve.
pub struct Sandbox {
    acceptor: CuttableAcceptor,
    connections: Connections,
}

impl Sandbox {
    /// Listens on `addr`; port 0 takes a free one.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let connections = Connections::default();
        let acceptor = CuttableAcceptor::bind(addr, connections.clone()).await?;
        Ok(Self { acceptor, connections })
    }

    /// Returns its address, like `http://127.0.0.1:4000`; the name of a world comes next.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.acceptor.local_addr())
    }

    /// Serves until the future is dropped.
    pub async fn serve(self) -> io::Result<()> {
        let routes = Route::new()
            .at("/:world/facebook/*path", meta::login_dialog)
            .at("/:world/graph/*path", meta::graph)
            .at("/:world/openai/*path", openai::serve)
            .at("/:world/google/*path", identity::serve_google)
            .at("/:world/github/*path", identity::serve_github)
            .at("/:world/drive/*path", drive::serve_drive)
            .at("/:world/publer/*path", publer::serve_publer);
        let endpoint = control::add_routes(routes).data(Worlds::default()).data(self.connections);
        Server::new_with_acceptor(self.acceptor).run(endpoint).await
    }
}
