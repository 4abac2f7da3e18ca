//! The stage on which stories are told: the real app, the real emulator, and clocks.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchhook::app::{App, Listeners};
use switchhook::clock::{ManualClock, SystemClock};
use switchhook::emulator::{
    Behaviour, Emulator, EmulatorConfig, OnRing, Phone, PhoneBook, Schema, Subscription,
};
use switchhook::ports::Clock;
use switchhook::settings::{Given, Purpose, Secret, Settings};
use switchhook::wire::calling::segment;

/// How long the outside world may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The secret in our webhook URLs.
pub const KEY: &str = "a-secret-of-the-stage";

/// What differs from the default stage.
pub struct Setting {
    /// The far ends.
    pub phones: PhoneBook,
    /// Seconds of the emulator for each real one.
    pub speed: u32,
    /// Changes to the settings.
    pub settings: Box<dyn Fn(&mut Settings)>,
    /// Changes to the emulator.
    pub emulator: Box<dyn Fn(&mut EmulatorConfig)>,
    /// In which schema Event Grid delivers.
    pub schema: Schema,
    /// Who signs callbacks instead of the emulator: configuration URL, issuer, audience.
    pub callbacks_signed_by: Option<(String, String, String)>,
    /// A clock that is held, for the service; the emulator's goes on by itself.
    pub held: Option<Arc<ManualClock>>,
    /// The connection string of a call service in place of the emulator.
    pub azure: Option<Secret>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            phones: PhoneBook::default(),
            // A telephone that rings for three real seconds is heard on a busy machine, too.
            speed: 10,
            settings: Box::new(|_| {}),
            emulator: Box::new(|_| {}),
            schema: Schema::EventGrid,
            callbacks_signed_by: None,
            held: None,
            azure: None,
        }
    }
}

impl Setting {
    /// Callbacks need our key but no token: for stories in which the test itself is Azure.
    pub fn untokened(settings: impl Fn(&mut Settings) + 'static) -> Self {
        let change = move |given: &mut Settings| {
            given.callbacks.require_jwt = false;
            settings(given);
        };
        Self { settings: Box::new(change), ..Self::default() }
    }

    /// The service's clock is this one.
    pub fn held(mut self, clock: &Arc<ManualClock>) -> Self {
        self.held = Some(Arc::clone(clock));
        self
    }
}

/// Service and emulator, wired to each other on free ports.
pub struct Stage {
    pub app: App,
    pub emulator: Emulator,
    pub http: reqwest::Client,
    pub settings: Settings,
    clock: Arc<dyn Clock>,
}

impl Stage {
    pub async fn with(setting: Setting) -> Self {
        let mut settings = defaults();
        (setting.settings)(&mut settings);
        let listeners = Listeners::bind(&settings).expect("free ports");
        settings.public.base_url = listeners.public_url();
        let endpoint = format!("{}/webhooks/eventgrid?key={KEY}", listeners.public_url());
        let mut config = EmulatorConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            seed: Some(7),
            phones: setting.phones,
            subscriptions: vec![Subscription {
                name: "switchhook".to_owned(),
                endpoint,
                schema: setting.schema,
                ..Subscription::default()
            }],
            // Requests are dated by the service's clock, not by the emulator's fast one.
            callers_clock: Some(SystemClock::start()),
            behaviour: Behaviour::default(),
            ..EmulatorConfig::default()
        };
        (setting.emulator)(&mut config);
        let audience = config.audience.clone();
        let fast = SystemClock::start_at_speed(setting.speed);
        let emulator = Emulator::start(config, fast).expect("the emulator starts");
        let emulated = || Secret::new(emulator.connection_string());
        settings.azure.connection_string = setting.azure.unwrap_or_else(emulated);
        settings.callbacks.openid_url = emulator.openid_configuration_url();
        settings.callbacks.audience = audience;
        if let Some((configuration, issuer, audience)) = setting.callbacks_signed_by {
            settings.callbacks.openid_url = configuration;
            settings.callbacks.issuer = issuer;
            settings.callbacks.audience = audience;
        }
        let clock: Arc<dyn Clock> = match setting.held {
            Some(held) => held,
            None => SystemClock::start(),
        };
        let started = App::start_on(listeners, &settings, Arc::clone(&clock)).await;
        let app = started.expect("the app starts");
        // A hung request ends its test with a better message than the test runner has.
        let http = reqwest::Client::builder().timeout(2 * PATIENCE).build().expect("a client");
        Self { app, emulator, http, settings, clock }
    }

    /// The service stops, waiting for nobody, and starts again on what it has kept. It listens elsewhere.
    pub async fn restarted(self) -> Self {
        let Self { app, emulator, http, settings, clock } = self;
        app.drain().await;
        // The files are free when the last part of the old one has let go of them.
        let app = eventually("the store", || async {
            match App::start(&settings, Arc::clone(&clock)).await {
                Ok(app) => Some(app),
                Err(error) if error.to_string().contains("in use") => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        Self { app, emulator, http, settings, clock }
    }

    /// A stage on which the test itself is Azure.
    pub async fn untokened() -> Self {
        Self::with(Setting::untokened(|_| {})).await
    }

    /// A URL of the public listener.
    pub fn public(&self, path: &str) -> String {
        format!("{}{path}", self.app.public_url())
    }

    /// A URL of the private listener.
    pub fn private(&self, path: &str) -> String {
        format!("{}{path}", self.app.private_url())
    }

    /// A URL of the emulator.
    pub fn emulated(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.base_url())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(self.private(path))).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.http.post(self.private(path)).json(&body)).await
    }

    /// Assigns a number.
    pub async fn assign(&self, key: &str, steps: Value) {
        let path = format!("/v1/numbers/{}", segment(key));
        let put = self.http.put(self.private(&path)).json(&json!({ "steps": steps }));
        let (status, body) = answer(put).await;
        assert!(status == 200 || status == 201, "{status} {body}");
    }

    /// Event Grid delivers nothing before its handshake is done: who rings earlier rings in vain.
    pub async fn grid_delivers(&self) {
        let url = self.emulated("/emulator/eventgrid/subscriptions");
        eventually("the handshake of Event Grid", || async {
            let (_, list) = answer(self.http.get(&url)).await;
            (list["value"][0]["provisioningState"] == "Succeeded").then_some(())
        })
        .await;
    }

    /// Somebody calls, from outside; gives the server call id.
    pub async fn ring(&self, from: &str, to: &str) -> String {
        self.grid_delivers().await;
        let url = self.emulated("/emulator/incoming-calls");
        let ring = self.http.post(url).json(&json!({ "from": from, "to": to }));
        let (status, body) = answer(ring).await;
        assert_eq!(status, 201, "{body}");
        body["serverCallId"].as_str().expect("a server call id").to_owned()
    }

    /// The decision about a call, once there is one.
    pub async fn decision(&self, server_call: &str) -> Value {
        eventually("a decision", || async {
            let (_, body) = self.get("/admin/incoming").await;
            let decisions = body.as_array().cloned().unwrap_or_default();
            let found = decisions.into_iter().rev().find(|d| d["serverCallId"] == server_call)?;
            (!found["fate"].is_null()).then_some(found)
        })
        .await
    }

    /// Posts callbacks as Azure would, with our key but without a token.
    pub async fn callback(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = self.public(&format!("/webhooks/calls?key={KEY}"));
        answer(self.http.post(url).header("content-type", "application/json").body(body)).await
    }

    /// Posts these events in one array; they have arrived at their calls when this returns.
    pub async fn told(&self, events: &[Value]) {
        let (status, body) = self.callback(json!(events).to_string()).await;
        assert_eq!((status, body), (200, Value::String(String::new())));
        for event in events {
            // Accepted is in the mailbox. A look passes through the same ones: when it is answered,
            // the event has arrived.
            let call = event["data"]["callConnectionId"].as_str().unwrap_or_default();
            let call = switchhook::wire::calling::segment(call);
            self.get(&format!("/v1/calls/{call}/events?limit=1")).await;
        }
    }

    /// Waits for an event of a call until the wait ends.
    pub async fn wait(&self, call: &str, wants: Value) -> (u16, Value) {
        self.post(&waits_of(call), wants).await
    }

    /// Begins to wait; goes on when `standing` waits of the call stand.
    pub async fn begin_to_wait(&self, call: &str, wants: Value, standing: usize) -> Begun {
        let wait = self.http.post(self.private(&waits_of(call))).json(&wants);
        let begun = tokio::spawn(answer(wait));
        self.until_waits(call, standing).await;
        begun
    }

    /// Goes on when so many waits of a call stand.
    pub async fn until_waits(&self, call: &str, standing: usize) {
        eventually("the waits", || async {
            let (_, view) = self.view(call).await;
            let waits = view["waits"].as_array().map_or(0, Vec::len);
            (waits == standing).then_some(())
        })
        .await;
    }

    /// One call in depth.
    pub async fn view(&self, call: &str) -> (u16, Value) {
        self.get(&format!("/admin/calls/{}", segment(call))).await
    }

    /// All metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        text.as_str().expect("text").to_owned()
    }

    /// The sum of a metric's lines that contain all of these texts; 0 when there is none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics().await;
        let wanted = metrics.lines().filter(|line| {
            let named = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            named && labels.iter().all(|label| line.contains(label))
        });
        wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// A request that is under way.
pub type Begun = tokio::task::JoinHandle<(u16, Value)>;

/// The route for waiting for events of a call.
pub fn waits_of(call: &str) -> String {
    format!("/v1/calls/{}/waits", segment(call))
}

/// The settings of a program that is given none.
pub fn defaults_untouched() -> Settings {
    Settings::load(&Given::default(), Purpose::Local).expect("the defaults are good")
}

/// The default settings, with our keys, free ports, and nothing of Azure's.
pub fn defaults() -> Settings {
    let mut settings = defaults_untouched();
    settings.public.listen = ([127, 0, 0, 1], 0).into();
    settings.private.listen = ([127, 0, 0, 1], 0).into();
    settings.callbacks.key = Secret::new(KEY);
    settings.event_grid.key = Secret::new(KEY);
    settings.store.ephemeral = true;
    settings.calls.shards = 2;
    settings
}

/// A phone that does this when it rings.
pub fn phone(on_ring: OnRing) -> Phone {
    Phone { on_ring, ..Phone::default() }
}

/// Status and JSON of an answer; null for an empty body.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Polls the outside world until it says something, or fails after [`PATIENCE`].
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::task::yield_now().await;
    }
}

/// One mid-call event about `call`, as Azure would post it, alone.
pub fn event(call: &str, id: &str, kind: &str, context: Option<&str>) -> Value {
    let mut data = json!({
        "callConnectionId": call, "serverCallId": format!("server-{call}"),
        "correlationId": format!("correlation-{call}"),
        "resultInformation": {"code": 200, "subCode": 0, "message": "fine"},
    });
    if let Some(context) = context {
        data["operationContext"] = context.into();
    }
    json!({
        "id": id, "source": format!("calling/callConnections/{call}"),
        "type": format!("Microsoft.Communication.{kind}"), "specversion": "1.0",
        "time": "2025-11-21T08:30:18.2222206+00:00", "datacontenttype": "application/json",
        "data": data,
    })
}
