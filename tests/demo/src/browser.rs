//! A browser as far as a login needs one: it keeps cookies and follows redirects.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, RequestBuilder, Response, StatusCode, header, redirect::Policy};
use url::Url;

/// The number of redirects after which the browser gives up.
const MAX_HOPS: usize = 10;

/// A browser without a window.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    cookies: Vec<Cookie>,
}

/// A cookie and the host that it belongs to.
#[derive(Debug)]
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// One address on the way.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
}

/// The page where a chain of redirects ended.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Every address on the way, the last one included.
    pub(crate) hops: Vec<Hop>,
    /// The title of the page there.
    pub(crate) title: String,
}

impl Arrival {
    /// Returns true if the last page is not an error.
    pub(crate) fn is_accepted(&self) -> bool {
        self.hops.last().is_some_and(|hop| hop.status.is_success())
    }
}

impl Browser {
    /// Creates a browser without cookies.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let timeout = Duration::from_secs(20);
        let client = Client::builder().redirect(Policy::none()).timeout(timeout).no_proxy().build()?;
        Ok(Self { client, cookies: Vec::new() })
    }

    /// Opens an address and follows its redirects.
    pub(crate) async fn open(&mut self, url: Url) -> anyhow::Result<Arrival> {
        let request = self.client.get(url.clone());
        self.go(url, request).await
    }

    /// Presses the button of a page at this address, and goes wherever that leads.
    ///
    /// # Errors
    /// As [`Browser::open`].
    pub(crate) async fn press(&mut self, url: Url) -> anyhow::Result<Arrival> {
        let origin = url.origin().ascii_serialization();
        let request = self.client.post(url.clone()).header(header::ORIGIN, origin).form::<[(&str, &str); 0]>(&[]);
        self.go(url, request).await
    }

    async fn go(&mut self, mut url: Url, mut request: RequestBuilder) -> anyhow::Result<Arrival> {
        let mut hops = Vec::new();
        while hops.len() < MAX_HOPS {
            let response = request.header(header::COOKIE, self.cookies_for(&url)).send().await?;
            self.keep_cookies(&url, &response);
            hops.push(Hop { url: url.clone(), status: response.status() });
            let Some(next) = onward(&response)? else {
                return Ok(Arrival { hops, title: title(&response.text().await?) });
            };
            url = url.join(&next)?;
            request = self.client.get(url.clone());
        }
        bail!("the browser was redirected {MAX_HOPS} times")
    }

    fn cookies_for(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let fits = |cookie: &&Cookie| cookie.host == host && url.path().starts_with(&cookie.path);
        let pairs = self.cookies.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, url: &Url, response: &Response) {
        for header in response.headers().get_all(header::SET_COOKIE) {
            if let Some(cookie) = header.to_str().ok().and_then(|header| Cookie::read(url, header)) {
                self.cookies.retain(|kept| kept.name != cookie.name || kept.host != cookie.host);
                self.cookies.push(cookie);
            }
        }
    }
}

impl Cookie {
    fn read(url: &Url, header: &str) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let path = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("path"));
        Some(Self {
            host: url.host_str()?.to_owned(),
            path: path.map_or("/", |(_, path)| path).to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// The address that a response leads on to, by a redirect or by itself.
fn onward(response: &Response) -> anyhow::Result<Option<String>> {
    if response.status().is_redirection() {
        let location = response.headers().get(header::LOCATION).context("a redirect to nowhere")?;
        return Ok(Some(location.to_str()?.to_owned()));
    }
    let refresh = response.headers().get(header::REFRESH).map(header::HeaderValue::to_str).transpose()?;
    Ok(refresh.and_then(|refresh| refresh.split_once("url=")).map(|(_, url)| url.to_owned()))
}

fn title(html: &str) -> String {
    let inner = html.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
    inner.map_or(html, |(title, _)| title).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_to_its_host_and_path_only() {
        let url: Url = "http://127.0.0.1:8080/connect/x".parse().unwrap();
        let cookie = Cookie::read(&url, "a=b; HttpOnly; Path=/api; SameSite=Lax").unwrap();
        let browser = Browser { client: Client::builder().build().unwrap(), cookies: vec![cookie] };
        assert_eq!(browser.cookies_for(&url.join("/api/v1").unwrap()), "a=b");
        assert_eq!(browser.cookies_for(&url), "");
        assert_eq!(browser.cookies_for(&"http://localhost/api".parse().unwrap()), "");
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        assert_eq!(title("<body><h1>Connected</h1><p>x</p></body>"), "Connected");
        assert_eq!(title("plain"), "plain");
    }
}
