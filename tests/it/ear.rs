//! Somebody whom the emulator tells things: a receiver of callbacks and Event Grid events.

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::stage::PATIENCE;

/// Takes everything, answers handshakes, and serves a second of silence at `/second.wav`.
pub struct Ear {
    pub base_url: String,
    heard: mpsc::UnboundedReceiver<(HttpPart, Value)>,
    server: ServerHandle,
}

/// Method and path of a request.
pub type HttpPart = String;

impl Drop for Ear {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn hear(
    tell: web::Data<mpsc::UnboundedSender<(HttpPart, Value)>>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let code = body[0]["data"]["validationCode"].as_str().map(str::to_owned);
    let asked = format!("{} {}", request.method(), request.path());
    let is_prompt = asked == "GET /second.wav";
    let _test_is_over = tell.send((asked, body));
    match code {
        Some(code) => HttpResponse::Ok().json(json!({ "validationResponse": code })),
        None if is_prompt => HttpResponse::Ok().body(second_of_silence()),
        None => HttpResponse::Ok().finish(),
    }
}

/// 16 kHz, mono, 16 bit.
fn second_of_silence() -> Vec<u8> {
    let mut file = b"RIFF\x24\x7d\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(16_000_u32.to_le_bytes());
    file.extend(32_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(32_000_u32.to_le_bytes());
    file.resize(file.len() + 32_000, 0);
    file
}

impl Ear {
    /// Over http.
    pub fn start() -> Self {
        Self::listening(None)
    }

    /// Over https, with this certificate.
    pub fn certified(config: rustls::ServerConfig) -> Self {
        Self::listening(Some(config))
    }

    fn listening(tls: Option<rustls::ServerConfig>) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let factory = move || {
            App::new().app_data(web::Data::new(tell.clone())).default_service(web::to(hear))
        };
        let server = HttpServer::new(factory).workers(1).disable_signals();
        let (scheme, server) = match tls {
            None => ("http", server.bind(("127.0.0.1", 0))),
            Some(tls) => ("https", server.bind_rustls_0_23(("127.0.0.1", 0), tls)),
        };
        let server = server.expect("a free port");
        let base_url = format!("{scheme}://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { base_url, heard, server: handle }
    }

    /// The next thing that is asked or told.
    pub async fn next(&mut self) -> (HttpPart, Value) {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("something was posted in time").expect("the receiver lives")
    }

    /// The short types of all callbacks that are there now, and whatever else was asked.
    pub fn all_there(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.heard.try_recv().ok())
            .map(|(asked, body)| name(asked, &body))
            .collect()
    }
}

fn name(asked: String, body: &Value) -> String {
    let kind = body[0]["type"].as_str().and_then(|kind| kind.rsplit('.').next());
    kind.map_or(asked, str::to_owned)
}
