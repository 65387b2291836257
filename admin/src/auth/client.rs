//! The address that a request comes from.

use std::net::IpAddr;

use poem::Request;

/// The header to whose end proxies add the address that they got a request from.
const FORWARDED: &str = "x-forwarded-for";

/// The machine that a request comes from, as far as it can be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Client(Option<IpAddr>);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self(Some(address))
    }
}

impl Client {
    /// Returns the other end of the connection; behind proxies, the address that the first of them
    /// saw. The rest of the header can be forged.
    pub(crate) fn of(request: &Request, trusted_proxies: u8) -> Self {
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        let Some(steps) = usize::from(trusted_proxies).checked_sub(1) else {
            return Self(peer);
        };
        let lines = request.headers().get_all(FORWARDED).iter().filter_map(|line| line.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let seen = hops.iter().rev().nth(steps).and_then(|hop| hop.parse().ok());
        Self(seen.or(peer))
    }

    /// Returns the address, for the audit log.
    pub(crate) fn address(self) -> Option<String> {
        self.0.map(|address| address.to_string())
    }

    /// Returns the network of a whole site, as providers assign them in IPv6; otherwise one
    /// machine.
    pub(crate) fn network(self) -> String {
        match self.0 {
            Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
                let network = address.segments();
                format!("{:x}:{:x}:{:x}::/48", network[0], network[1], network[2])
            }
            Some(_) | None => self.counted_as(),
        }
    }

    /// Returns the name that tries are counted by: one machine, or in IPv6 the network of one
    /// customer.
    pub(crate) fn counted_as(self) -> String {
        match self.0 {
            Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
                let network = address.segments();
                format!("{:x}:{:x}:{:x}:{:x}::/64", network[0], network[1], network[2], network[3])
            }
            Some(address) => address.to_canonical().to_string(),
            None => "unknown".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarded: &[&str], proxies: u8) -> Option<String> {
        let mut request = Request::builder();
        for line in forwarded {
            request = request.header(FORWARDED, *line);
        }
        Client::of(&request.finish(), proxies).address()
    }

    #[test]
    fn only_what_trusted_proxies_added_counts() {
        let forged = ["6.6.6.6, 203.0.113.9", "10.0.0.1"];
        assert_eq!(client(&forged, 0), None);
        assert_eq!(client(&forged, 1).as_deref(), Some("10.0.0.1"));
        assert_eq!(client(&forged, 2).as_deref(), Some("203.0.113.9"));
        assert_eq!(client(&["nonsense"], 1), None);
        assert_eq!(client(&[], 1), None);
    }

    #[test]
    fn a_customer_of_ipv6_is_one_client() {
        let counted = |address: &str| Client(Some(address.parse().unwrap())).counted_as();
        assert_eq!(counted("2001:db8:1:2:3::4"), counted("2001:db8:1:2:ffff::1"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
        assert_eq!(counted("::ffff:203.0.113.9"), "203.0.113.9");
        let network = |address: &str| Client(Some(address.parse().unwrap())).network();
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::1"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
    }
}
