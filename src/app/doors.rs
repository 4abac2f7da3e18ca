//! The doors of the house, made of what stands behind them.

use std::sync::Arc;

use actix::Addr;
use actix_web::web;

use super::{StartError, parts};
use crate::actors::Calls;
use crate::actors::forwarder::Forwarder;
use crate::actors::routing::RoutingActor;
use crate::http::private::probes::{Probes, Readiness};
use crate::http::private::{Desk, Private, admin, auth, forwards, gateway, numbers};
use crate::http::public::{callbacks, grid};
use crate::ports::{CallAutomation, Clock, Journal};
use crate::pure::forwarding::Targets;
use crate::settings::Settings;

/// What the doors lead to.
pub(super) struct Inside {
    pub calls: Calls,
    pub routing: Addr<RoutingActor>,
    pub journal: Arc<dyn Journal>,
    pub azure: Arc<dyn CallAutomation>,
    pub forwarder: Forwarder,
    pub targets: Arc<Targets>,
    pub recordings: gateway::Recordings,
    pub readiness: Arc<Readiness>,
    /// The metrics, as Prometheus reads them.
    pub render: Box<dyn Fn() -> String + Send + Sync>,
    pub clock: Arc<dyn Clock>,
}

/// All of them.
pub(super) struct Doors {
    pub callbacks: web::Data<callbacks::Door>,
    pub grid: web::Data<grid::Door>,
    pub private: Private,
}

impl Inside {
    pub fn doors(self, settings: &Settings) -> Result<Doors, StartError> {
        let given = &settings.callbacks;
        let tokens = parts::token_check(settings, &self.clock)?;
        if let Some(tokens) = tokens.clone() {
            actix::spawn(async move { tokens.warm().await });
        }
        let callbacks = callbacks::Door::new(
            self.calls.clone(),
            parts::secret(given.require_key, &given.key),
            tokens,
            given.max_body_bytes,
            given.max_events,
        );
        let callbacks = web::Data::new(callbacks.forwarding(callbacks::Forwarding {
            forwarder: self.forwarder.clone(),
            targets: Arc::clone(&self.targets),
        }));
        let given = &settings.event_grid;
        let grid = web::Data::new(grid::Door {
            routing: self.routing.clone(),
            journal: Arc::clone(&self.journal),
            clock: Arc::clone(&self.clock),
            secret: parts::secret(given.require_key, &given.key),
            subscriptions: given.subscriptions.clone(),
            max_body_bytes: given.max_body_bytes,
            max_events: given.max_events,
        });
        Ok(Doors { callbacks, grid, private: self.private(settings)? })
    }

    fn private(self, settings: &Settings) -> Result<Private, StartError> {
        let max_body_bytes = settings.private.max_body_bytes;
        let gateway = gateway::Gateway {
            relay: Arc::new(parts::relay(settings, &self.clock)?),
            targets: self.targets,
            key: parts::gateway_key(settings)?,
            clock_skew: settings.gateway.clock_skew,
            max_body_bytes: settings.gateway.max_body_bytes,
            max_wait: settings.calls.max_wait,
            calls: self.calls.clone(),
            clock: Arc::clone(&self.clock),
            recordings: self.recordings,
        };
        Ok(Private {
            desk: web::Data::new(Desk {
                calls: self.calls,
                clock: self.clock,
                max_body_bytes,
                wait_timeout: settings.calls.wait_timeout,
                max_wait: settings.calls.max_wait,
            }),
            routing: web::Data::new(numbers::RoutingDesk { routing: self.routing, max_body_bytes }),
            guard: web::Data::new(auth::Guard::new(parts::tokens(settings))),
            probes: web::Data::new(Probes { readiness: self.readiness, render: self.render }),
            gateway: web::Data::new(gateway),
            forwards: web::Data::new(forwards::ForwardDesk { forwarder: self.forwarder }),
            admin: web::Data::new(admin::AdminDesk {
                azure: self.azure,
                config: parts::config(settings)?,
            }),
        })
    }
}
