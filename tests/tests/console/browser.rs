//! A browser without a window, whose tabs record errors.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chromiumoxide::{
    Browser, BrowserConfig, Page,
    cdp::{
        browser_protocol::{
            emulation::{MediaFeature, SetDeviceMetricsOverrideParams, SetScriptExecutionDisabledParams},
            input::{DispatchKeyEventParams, DispatchKeyEventType},
            log::{EventEntryAdded, LogEntryLevel},
            network::CookieParam,
            page::{CaptureScreenshotFormat, EventJavascriptDialogOpening, HandleJavaScriptDialogParams},
            target::CreateTargetParams,
        },
        js_protocol::runtime::{ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown},
    },
    page::ScreenshotParams,
};
use futures_util::StreamExt as _;
use reqwest::Method;
use tests::{TestApp, people::PASSWORD, setting, until};

/// The time that a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser.
pub(crate) struct Chromium {
    browser: Browser,
    handler: tokio::task::JoinHandle<()>,
    folder: std::path::PathBuf,
}

impl Chromium {
    pub(crate) async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("linecook-chromium-{}", uuid::Uuid::now_v7()));
        let config = BrowserConfig::builder()
            .chrome_executable(setting("LINECOOK_CHROMIUM"))
            // Tests run as root in containers, and open nothing but pages of ours.
            .no_sandbox()
            .user_data_dir(&folder)
            .args(["disable-gpu", "disable-dev-shm-usage", "no-proxy-server"])
            .viewport(None)
            .build()
            .unwrap();
        let (browser, mut events) = Browser::launch(config).await.unwrap();
        let handler = tokio::spawn(async move { while events.next().await.is_some() {} });
        Self { browser, handler, folder }
    }

    /// Opens an empty tab.
    pub(crate) async fn tab(&self) -> Tab {
        Tab::watched(self.browser.new_page("about:blank").await.unwrap()).await
    }

    /// Opens an empty tab in a window of its own, so that no other tab is hidden.
    pub(crate) async fn window(&self) -> Tab {
        let target = CreateTargetParams::builder().url("about:blank").new_window(true).build().unwrap();
        Tab::watched(self.browser.new_page(target).await.unwrap()).await
    }

    pub(crate) async fn close(mut self) {
        self.browser.close().await.unwrap();
        let _ = self.browser.wait().await;
        self.handler.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A tab.
pub(crate) struct Tab {
    pub(crate) page: Page,
    complaints: Arc<Mutex<Vec<String>>>,
    dialogs: Arc<Mutex<u32>>,
}

impl Tab {
    async fn watched(page: Page) -> Self {
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let dialogs = Arc::new(Mutex::new(0));
        let mut entries = page.event_listener::<EventEntryAdded>().await.unwrap();
        let mut thrown = page.event_listener::<EventExceptionThrown>().await.unwrap();
        let mut console = page.event_listener::<EventConsoleApiCalled>().await.unwrap();
        let mut opening = page.event_listener::<EventJavascriptDialogOpening>().await.unwrap();
        page.enable_log().await.unwrap();
        page.enable_runtime().await.unwrap();
        let (heard, opened, closer) = (complaints.clone(), dialogs.clone(), page.clone());
        tokio::spawn(async move {
            loop {
                let complaint = tokio::select! {
                    Some(entry) = entries.next() => {
                        // Hints, such as that a form for a new password should name the person: no page may tell
                        // who a link is for.
                        if entry.entry.level == LogEntryLevel::Verbose { continue }
                        format!("{:?}: {}", entry.entry.level, entry.entry.text)
                    }
                    Some(error) = thrown.next() => format!("{:?}", error.exception_details),
                    Some(call) = console.next() => {
                        if call.r#type != ConsoleApiCalledType::Error && call.r#type != ConsoleApiCalledType::Warning { continue }
                        format!("{:?}", call.args)
                    }
                    Some(_) = opening.next() => {
                        *opened.lock().unwrap() += 1;
                        let _ = closer.execute(HandleJavaScriptDialogParams::new(false)).await;
                        continue
                    }
                    else => break,
                };
                heard.lock().unwrap().push(complaint);
            }
        });
        Self { page, complaints, dialogs }
    }

    /// Opens an address and waits until it is loaded.
    pub(crate) async fn open(&self, address: &str) {
        tokio::time::timeout(PATIENCE, self.page.goto(address)).await.unwrap().unwrap();
        self.until("document.readyState === 'complete'").await;
    }

    /// Signs in with the cookie of a signed-in person.
    pub(crate) async fn sign_in(&self, app: &TestApp, cookie: &str) {
        let (name, value) = cookie.split_once('=').unwrap();
        let mut cookie = CookieParam::new(name, value);
        cookie.url = Some(app.url.clone());
        self.page.set_cookie(cookie).await.unwrap();
    }

    pub(crate) async fn size(&self, width: i64, height: i64) {
        let metrics = SetDeviceMetricsOverrideParams::new(width, height, 1.0, width < 800);
        self.page.execute(metrics).await.unwrap();
    }

    /// Sets the system's colour scheme: light or dark.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = vec![
            MediaFeature::new("prefers-color-scheme", scheme),
            MediaFeature::new("prefers-reduced-motion", "reduce"),
        ];
        self.page.emulate_media_features(features).await.unwrap();
    }

    pub(crate) async fn without_scripts(&self) {
        self.page.execute(SetScriptExecutionDisabledParams::new(true)).await.unwrap();
    }

    /// Returns the value of an expression.
    pub(crate) async fn look<T: serde::de::DeserializeOwned>(&self, expression: &str) -> T {
        let result = self.page.evaluate(expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
        result.into_value().unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        until(expression, PATIENCE, async || {
            let result = self.page.evaluate(expression).await.ok()?;
            result.into_value::<bool>().ok()?.then_some(())
        })
        .await;
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, or a character. Waits for the page's scripts, which
    /// read keys.
    pub(crate) async fn press(&self, key: &str) {
        self.until("document.readyState === 'complete'").await;
        let (code, text) = match key {
            "Enter" => (13, Some("\r")),
            "Tab" => (9, None),
            "Escape" => (27, None),
            other => (0, Some(other)),
        };
        for kind in [DispatchKeyEventType::KeyDown, DispatchKeyEventType::KeyUp] {
            let mut event =
                DispatchKeyEventParams::builder().r#type(kind.clone()).key(key).windows_virtual_key_code(code);
            if let (Some(text), DispatchKeyEventType::KeyDown) = (text, kind) {
                event = event.text(text);
            }
            self.page.execute(event.build().unwrap()).await.unwrap();
        }
    }

    pub(crate) async fn write(&self, text: &str) {
        for character in text.chars() {
            self.press(&character.to_string()).await;
        }
    }

    /// Presses Tab until an element that matches a selector has the focus.
    pub(crate) async fn tab_to(&self, selector: &str) {
        for _ in 0..60 {
            if self.look::<bool>(&format!("document.activeElement?.matches({selector:?}) ?? false")).await {
                return;
            }
            self.press("Tab").await;
        }
        panic!("no number of tabs leads to {selector}");
    }

    /// Returns the errors since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().unwrap())
    }

    /// Returns the number of dialogs that scripts opened.
    pub(crate) fn dialogs(&self) -> u32 {
        *self.dialogs.lock().unwrap()
    }

    pub(crate) async fn screenshot(&self, path: &std::path::Path) {
        let whole = ScreenshotParams::builder().format(CaptureScreenshotFormat::Png).full_page(true).build();
        let picture = self.page.screenshot(whole).await.unwrap();
        std::fs::write(path, picture).unwrap();
    }
}

/// The cookie of an operator who signed in.
pub(crate) async fn operator_cookie_of(app: &TestApp, email: &str) -> String {
    let (_, factor) = app.operator_with_app(email).await;
    let waits = waiting_cookie_of(app, email).await;
    cookie_from(app, "/sign-in/code", &waits, &[("code", &factor.recovery_codes[0])]).await
}

/// The cookie of somebody with a second factor who has given the password only.
pub(crate) async fn waiting_cookie_of(app: &TestApp, email: &str) -> String {
    cookie_from(app, "/sign-in", "", &[("email", email), ("password", PASSWORD)]).await
}

/// Registers and signs in a person, and returns the cookie.
pub(crate) async fn cookie_of(app: &TestApp, email: &str) -> String {
    app.person(email).await;
    cookie_from(app, "/sign-in", "", &[("email", email), ("password", PASSWORD)]).await
}

/// Sends a form and returns the cookie of the response: a session, or a sign-in that waits.
async fn cookie_from(app: &TestApp, path: &str, cookie: &str, form: &[(&str, &str)]) -> String {
    let request = app.anonymous(Method::POST, path).header("origin", &app.url).header("cookie", cookie);
    let answer = request.form(form).send().await.unwrap();
    let cookies = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
    let mut kept = cookies.filter(|cookie| !cookie.contains("Max-Age=0"));
    let named = kept.rfind(|cookie| ["session=", "second_step="].iter().any(|name| cookie.contains(name))).unwrap();
    named.split(';').next().unwrap().to_owned()
}
