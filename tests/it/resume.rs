//! The example that listens across a crash: a prompt plays, the service is killed and comes back, and
//! whoever listens hears the end of the prompt, once.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use switchhook::acs::{Azure, AzureConfig};
use switchhook::client::Prompt;
use switchhook::clock::{ManualClock, SystemClock};
use switchhook::emulator::{Behaviour, Emulator, EmulatorConfig};
use switchhook::ports::{CallAutomation, Request};
use switchhook::pure::signing::ConnectionString;
use switchhook::wire::calling::{Place, PlayRequest, segment};
use tempfile::TempDir;

use crate::stage::{KEY, answer, eventually};

const NUMBER: &str = "+18005550100";
const CALLER: &str = "+14255550001";
const PROMPT: Duration = Duration::from_secs(20);

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    /// As `kill -9`: no farewell.
    fn kill(mut self) {
        self.0.kill().expect("it ran");
        self.0.wait().expect("an end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A command that none of our own environment reaches.
fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SWITCHHOOK_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The real service on a folder and two ports that stay the same, and an emulator whose time we hold.
struct World {
    data: TempDir,
    public: String,
    private: String,
    emulator: Emulator,
    clock: Arc<ManualClock>,
    http: reqwest::Client,
}

impl World {
    fn new() -> Self {
        // Ports that are free now; both are held until both are known.
        let free = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
        let [public, private] = free.map(|it| it.local_addr().expect("an address").to_string());
        let clock = ManualClock::starting_now();
        let config = EmulatorConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            seed: Some(7),
            callers_clock: Some(SystemClock::start()),
            behaviour: Behaviour { nominal_prompt: PROMPT, ..Behaviour::default() },
            ..EmulatorConfig::default()
        };
        let emulator = Emulator::start(config, Arc::clone(&clock) as _).expect("the emulator");
        let (data, http) = (tempfile::tempdir().expect("a folder"), reqwest::Client::new());
        Self { data, public, private, emulator, clock, http }
    }

    /// Starts the service and goes on when it is ready.
    async fn serve(&self) -> Running {
        let mut serve = command(env!("CARGO_BIN_EXE_switchhook"));
        serve.arg("serve").arg("--data").arg(self.data.path());
        serve.args(["--public-listen", &self.public, "--private-listen", &self.private]);
        let audience = EmulatorConfig::default().audience;
        for (key, value) in [
            ("PUBLIC__BASE_URL", format!("http://{}", self.public)),
            ("EVENT_GRID__KEY", KEY.to_owned()),
            ("CALLBACKS__KEY", KEY.to_owned()),
            ("CALLBACKS__AUDIENCE", audience),
            ("CALLBACKS__OPENID_URL", self.emulator.openid_configuration_url()),
            ("AZURE__CONNECTION_STRING", self.emulator.connection_string()),
        ] {
            serve.env(format!("SWITCHHOOK__{key}"), value);
        }
        let child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let running = Running(child.expect("the binary runs"));
        eventually("the service", || async {
            let asked = self.http.get(self.at("/readyz")).send().await.ok()?;
            asked.status().is_success().then_some(())
        })
        .await;
        running
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.private)
    }

    async fn get(&self, path: &str) -> Value {
        answer(self.http.get(self.at(path))).await.1
    }

    /// Lets the emulator's time pass slowly until something is so.
    async fn passing<T, F>(&self, what: &str, mut look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        eventually(what, || {
            self.clock.advance(Duration::from_millis(5));
            look()
        })
        .await
    }

    /// Event Grid delivers to the service from now on.
    async fn subscribe(&self) {
        let url = self.emulated("/emulator/eventgrid/subscriptions/switchhook");
        let endpoint = format!("http://{}/webhooks/eventgrid?key={KEY}", self.public);
        let (status, body) = answer(self.http.put(url).json(&json!({"endpoint": endpoint}))).await;
        assert!(status < 300, "{status} {body}");
        let url = self.emulated("/emulator/eventgrid/subscriptions");
        self.passing("the handshake of Event Grid", || async {
            let (_, list) = answer(self.http.get(&url)).await;
            (list["value"][0]["provisioningState"] == "Succeeded").then_some(())
        })
        .await;
    }

    fn emulated(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.base_url())
    }

    /// Somebody calls our number, which answers; gives the server call id and the call connection id.
    async fn connected(&self) -> (String, String) {
        let number = self.at(&format!("/v1/numbers/{}", segment(NUMBER)));
        let speech = "https://speech.example.com";
        let plan = json!({"type": "answer", "cognitiveServicesEndpoint": speech});
        let put = self.http.put(number).json(&json!({"steps": [{ "action": plan }]}));
        assert_eq!(answer(put).await.0, 201);
        self.subscribe().await;
        let ring = self.http.post(self.emulated("/emulator/incoming-calls"));
        let (_, call) = answer(ring.json(&json!({"from": CALLER, "to": NUMBER}))).await;
        let server_call = call["serverCallId"].as_str().expect("an id").to_owned();
        let look = format!("/admin/calls/{}", segment(&server_call));
        let call = self
            .passing("a connected call", || async {
                let view = self.get(&look).await;
                let connected = view["state"] == "connected";
                connected.then(|| view["callConnectionId"].as_str().expect("an id").to_owned())
            })
            .await;
        (server_call, call)
    }

    /// Begins a prompt through the operations that everybody uses; goes on when it plays.
    async fn play(&self, call: &str) {
        let text = self.emulator.connection_string();
        let config = AzureConfig::new(ConnectionString::parse(&text).expect("one"));
        let azure = Azure::new(config, SystemClock::start()).expect("a client");
        let prompt = PlayRequest::from(Prompt::file("https://media.example.com/long.wav"));
        azure.send(Request::of(&prompt, Place::Call(call.into()))).await.expect("accepted");
        let timeline = format!("/v1/calls/{}/events", segment(call));
        self.passing("the beginning of the prompt", || async {
            self.get(&timeline).await.to_string().contains("PlayStarted").then_some(())
        })
        .await;
    }

    /// Goes on when somebody listens to the call.
    async fn listened_to(&self, call: &str) {
        let look = format!("/admin/calls/{}", segment(call));
        eventually("a standing wait", || async {
            let view = self.get(&look).await;
            (view["waits"].as_array()?.len() == 1).then_some(())
        })
        .await;
    }

    /// The caller puts the receiver down.
    async fn caller_leaves(&self, server_call: &str) {
        let (call, who) = (segment(server_call), segment(&format!("4:{CALLER}")));
        let url = self.emulated(&format!("/emulator/calls/{call}/participants/{who}:hangup"));
        let (status, body) = answer(self.http.post(url)).await;
        assert_eq!(status, 204, "{body}");
    }
}

/// The example, on its way; its lines come through the channel.
fn listen(server: &str, call: &str) -> (Running, mpsc::Receiver<String>) {
    // `cargo test` builds the examples beside the binary.
    let binary = Path::new(env!("CARGO_BIN_EXE_switchhook"));
    let mut example = command(binary.with_file_name("examples").join("resume"));
    example.args([server, call, "PlayCompleted", "PlayFailed"]);
    let mut child = example.stdout(Stdio::piped()).spawn().expect("the example runs");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _nobody_listens = tell.send(line);
        }
    });
    (Running(child), told)
}

#[actix_web::test]
async fn the_resume_example_hears_the_end_of_a_prompt_across_a_crash() {
    let world = World::new();
    let service = world.serve().await;
    let (server_call, call) = world.connected().await;
    let (mut example, lines) = listen(&world.at(""), &call);
    world.listened_to(&call).await;
    world.play(&call).await;

    service.kill();
    let _service = world.serve().await;
    world.listened_to(&call).await;
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), Vec::<String>::new(), "it still plays");

    world.clock.advance(PROMPT);
    let first = eventually("the end of the prompt", || async { lines.try_recv().ok() }).await;
    assert!(first.ends_with(" Microsoft.Communication.PlayCompleted"), "{first}");
    world.listened_to(&call).await;
    world.caller_leaves(&server_call).await;
    let mut rest = Vec::new();
    let status = eventually("the end of the example", || {
        world.clock.advance(Duration::from_millis(5));
        rest.extend(lines.try_iter());
        std::future::ready(example.0.try_wait().expect("a process"))
    })
    .await;
    rest.extend(lines.iter());
    assert!(status.success(), "{status} {rest:?}");
    assert!(matches!(&rest[..], [end] if end.starts_with("the call has ended")), "{rest:?}");
}
