//! The two listeners: bound first, so that their ports are known before anything starts.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use rustls::ServerConfig;

use super::doors::Doors;
use super::{StartError, tls};
use crate::http::{private, public};
use crate::settings::Settings;

/// Both listeners, bound and not yet serving.
pub struct Listeners {
    public: TcpListener,
    private: TcpListener,
    /// How the private one proves itself, if it does.
    tls: Option<ServerConfig>,
}

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    /// [`StartError::Listen`] when an address is taken, [`StartError::Setting`] when a certificate does
    /// not do.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        let bind = |address: std::net::SocketAddr| {
            TcpListener::bind(address)
                .map_err(|error| StartError::Listen { address: address.to_string(), error })
        };
        let tls = tls::configured(&settings.private)?;
        let (public, private) = (settings.public.listen, settings.private.listen);
        Ok(Self { public: bind(public)?, private: bind(private)?, tls })
    }

    /// The private one serves https, unless the settings have a certificate already.
    pub(super) fn secure(&mut self, tls: ServerConfig) {
        self.tls.get_or_insert(tls);
    }

    /// `http://…` of the public listener, as seen from this machine.
    pub fn public_url(&self) -> String {
        url_of("http", &self.public)
    }

    /// `http://…` or `https://…` of the private listener.
    pub fn private_url(&self) -> String {
        url_of(if self.tls.is_some() { "https" } else { "http" }, &self.private)
    }

    pub(super) fn serve(
        self,
        settings: &Settings,
        doors: &Doors,
    ) -> Result<Vec<ServerHandle>, StartError> {
        let (callbacks, grid) = (doors.callbacks.clone(), doors.grid.clone());
        let listen = |address: String| move |error| StartError::Listen { address, error };
        let faces_internet = HttpServer::new(move || {
            App::new().configure(public::routes(callbacks.clone(), grid.clone()))
        })
        .max_connections(settings.public.max_connections)
        .client_request_timeout(settings.public.client_timeout)
        .disable_signals()
        .tcp_nodelay(true)
        .shutdown_timeout(1)
        .listen(self.public)
        .map_err(listen("the public listener".to_owned()))?
        .run();
        let private = doors.private.clone();
        let faces_us =
            HttpServer::new(move || App::new().configure(private::routes(private.clone())))
                // A long poll is silent for minutes, and its client may be, too.
                .keep_alive(Duration::from_secs(75))
                // A client that hangs up waits no more, and must not take an event with it.
                .h1_allow_half_closed(false)
                .disable_signals()
                .tcp_nodelay(true)
                .shutdown_timeout(1);
        let faces_us = match self.tls {
            Some(tls) => faces_us.listen_rustls_0_23(self.private, tls),
            None => faces_us.listen(self.private),
        };
        let faces_us = faces_us.map_err(listen("the private listener".to_owned()))?.run();
        let handles = vec![faces_internet.handle(), faces_us.handle()];
        for server in [faces_internet, faces_us] {
            actix::spawn(async move {
                if let Err(error) = server.await {
                    tracing::error!(%error, "a listener ended");
                }
            });
        }
        Ok(handles)
    }
}

/// A wildcard address is reached by loopback from here.
fn url_of(scheme: &str, listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) if address.ip().is_unspecified() => {
            format!("{scheme}://127.0.0.1:{}", address.port())
        }
        Ok(address) => format!("{scheme}://{address}"),
        Err(_) => String::new(),
    }
}
