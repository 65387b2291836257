//! Limits the running requests of one client behind proxies, where connections do not tell clients
//! apart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http_body_util::BodyExt as _;
use poem::{Body, Endpoint, IntoResponse as _, Request, Response};

use super::{body::discard_body, guarded::Guarded};
use crate::{ApiError, auth::Client};

/// The number of running requests of each client.
#[derive(Debug)]
pub(crate) struct InFlight {
    trusted_proxies: u8,
    per_client: usize,
    running: Mutex<HashMap<String, usize>>,
}

impl InFlight {
    pub(crate) fn new(trusted_proxies: u8, per_client: u32) -> Self {
        Self { trusted_proxies, per_client: per_client as usize, running: Mutex::default() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, client: String) -> Option<Running> {
        let mut running = self.running();
        let count = running.entry(client.clone()).or_default();
        if *count >= self.per_client {
            return None;
        }
        *count += 1;
        Some(Running { counted: Arc::clone(self), client })
    }
}

/// A running request.
#[derive(Debug)]
struct Running {
    counted: Arc<InFlight>,
    client: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.counted.running();
        if let Some(count) = running.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.client);
            }
        }
    }
}

/// Refuses a request whose client has too many running ones. A request runs until its response is
/// sent.
pub(crate) async fn count<E: Endpoint>(
    endpoint: E,
    mut request: Request,
    counted: Arc<InFlight>,
) -> poem::Result<Response> {
    // Without proxies, connections are counted instead. Health checks always get a response.
    if counted.trusted_proxies == 0 || request.uri().path().starts_with("/health") {
        return endpoint.call(request).await.map(poem::IntoResponse::into_response);
    }
    let client = Client::of(&request, counted.trusted_proxies).counted_as();
    let Some(running) = counted.begin(client) else {
        discard_body(&mut request);
        return Ok(ApiError::busy().into_response());
    };
    let mut response = endpoint.call(request).await?.into_response();
    let body = Guarded::new(response.take_body(), running);
    response.set_body(Body::from(body.boxed()));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_requests_at_once() {
        let counted = Arc::new(InFlight::new(1, 2));
        let one = counted.begin("a".to_owned()).unwrap();
        let _two = counted.begin("a".to_owned()).unwrap();
        assert!(counted.begin("a".to_owned()).is_none());
        let other = counted.begin("b".to_owned());
        assert!(other.is_some());
        drop(one);
        assert!(counted.begin("a".to_owned()).is_some());
        drop(other);
        assert_eq!(counted.running().len(), 1, "nobody stays");
    }
}
