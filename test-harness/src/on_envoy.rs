//! The gateway in Envoy itself, with the configuration that `sekisho render envoy` makes, the
//! real sidecar behind a relay, and a stub in the providers' place.

mod client;
pub mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho::render::{self, AccessLog, Bootstrap, LinkTarget, Modules};
use sekisho_domain::UnixMillis;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use self::process::{Envoy, LogLevels};
use crate::gateway::{
    Answer, Disturbance, Exchange, Gateway, GatewayError, Heard, ModuleSet, Place, Request,
    SECRET_PREFIX, Seen, Side,
};
use crate::provider::stub::Stub;
use crate::relay::Relay;
use crate::sidecar::Sidecar;
use crate::socket::SocketEnd;

/// How long an answer's end must be held to count as held.
const HELD: Duration = Duration::from_millis(300);
/// Nobody waits longer than this for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// After the sidecar is there again, calls pass within this time.
const RECONNECTED: Duration = Duration::from_secs(5);
/// Envoy's own access log.
const ACCESS_LOG: &str = "access.log";

/// The gateway in Envoy.
pub struct OnEnvoy {
    envoy: Envoy,
    runtime: Runtime,
    relay: Relay,
    stub: Stub,
    sidecar: Sidecar,
    /// Passes every stage once all are ready.
    ready: Option<Request>,
    /// Both ends of the WebSocket that was opened last.
    socket: Option<(Arc<SocketEnd>, Arc<SocketEnd>)>,
    folder: TempDir,
    /// What was rendered for it.
    configuration: String,
}

/// Everything around Envoy that must be there before its configuration can be made.
pub struct Surroundings {
    runtime: Runtime,
    stub: Stub,
    workers: usize,
    levels: LogLevels,
}

impl Surroundings {
    /// Starts a stub for these upstreams.
    ///
    /// # Errors
    /// [`GatewayError::Io`].
    pub fn start(
        upstreams: &[String],
        probe: crate::sidecar::LogProbe,
    ) -> Result<Self, GatewayError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let stub = runtime.block_on(Stub::start(upstreams, probe))?;
        Ok(Self {
            runtime,
            stub,
            workers: 1,
            levels: LogLevels::default(),
        })
    }

    /// Envoy gets so many workers; its kernel says which of them takes a connection.
    #[must_use]
    pub const fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Envoy logs so much.
    #[must_use]
    pub const fn with_log_levels(mut self, levels: LogLevels) -> Self {
        self.levels = levels;
        self
    }

    /// Where each upstream is.
    #[must_use]
    pub const fn addresses(&self) -> &std::collections::BTreeMap<String, SocketAddr> {
        self.stub.addresses()
    }
}

impl OnEnvoy {
    /// Starts Envoy with the modules of a folder, connected to the sidecar, and waits until
    /// a call passes its filters; `ready` is that call.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn start(
        modules: ModuleSet,
        place: &Place,
        surroundings: Surroundings,
        sidecar: Sidecar,
        ready: Option<Request>,
    ) -> Result<Self, GatewayError> {
        let filters = &place.filters;
        let envoy = place.envoy.as_ref().ok_or(GatewayError::NoEnvoyNamed)?;
        for name in modules.names() {
            let module = filters.join(format!("{name}.wasm"));
            if !module.is_file() {
                return Err(GatewayError::NoModule(module));
            }
        }
        let Surroundings {
            runtime,
            stub,
            workers,
            levels,
        } = surroundings;
        let relay = runtime.block_on(Relay::start(sidecar.link()?))?;
        let folder = TempDir::with_prefix("sekisho-envoy-")?;
        let secrets = folder.path().join("secrets");
        render::secrets::write(sidecar.policy(), &secrets, |name| {
            Some(format!("{SECRET_PREFIX}{}", name.to_lowercase()))
        })?;
        let any_port = ([127, 0, 0, 1], 0).into();
        let link = relay.address();
        let bootstrap = Bootstrap {
            filters: std::path::absolute(filters)?,
            modules: match modules {
                ModuleSet::Gateway => Modules::Gateway,
                ModuleSet::Separate => Modules::Separate,
            },
            listen: any_port,
            tls: None,
            admin: any_port,
            links: vec![LinkTarget::HostPort(link.ip().to_string(), link.port())],
            secrets,
            ca: "/etc/ssl/certs/ca-certificates.crt".into(),
            access_log: AccessLog::File(folder.path().join(ACCESS_LOG)),
        };
        let configuration = render::envoy(sidecar.policy(), &bootstrap)?;
        let start = Envoy::start(envoy, folder.path(), &configuration, workers, levels);
        let envoy = runtime.block_on(start)?;
        let gateway = Self {
            envoy,
            runtime,
            relay,
            stub,
            sidecar,
            ready,
            socket: None,
            folder,
            configuration,
        };
        gateway.wait_until_ready(Duration::from_secs(20))?;
        Ok(gateway)
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.envoy.address()
    }

    /// What is answered in the providers' place from now on; forgets what they saw before.
    pub fn prepare(&self, answer: &Answer) {
        self.stub.prepare(answer);
    }

    /// What providers have seen since.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.stub.seen()
    }

    /// A page of Envoy's admin interface. None: it does not answer with 200.
    #[must_use]
    pub fn admin(&self, path: &str) -> Option<Vec<u8>> {
        self.runtime.block_on(self.envoy.admin(path))
    }

    /// Envoy's own access log.
    #[must_use]
    pub fn access_log(&self) -> String {
        let log = std::fs::read(self.folder.path().join(ACCESS_LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Makes a call that every stage lets pass until they do.
    fn wait_until_ready(&self, most: Duration) -> Result<(), GatewayError> {
        let Some(request) = &self.ready else {
            return Ok(());
        };
        self.stub.prepare(&Answer {
            status: 200,
            body: vec![b"{}".to_vec()],
            ..Answer::default()
        });
        let began = now();
        loop {
            let answer = client::call(self.envoy.address(), request);
            let answer = self.runtime.block_on(async { timeout(most, answer).await });
            let status = answer
                .ok()
                .transpose()?
                .and_then(|answer| answer.response)
                .map(|response| response.status);
            if status == Some(200) {
                return Ok(());
            }
            if now().duration_since(began) > most {
                let reason = format!("the filters let nothing pass; status {status:?}");
                return Err(GatewayError::EnvoyNotReady(reason));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&self, side: Side) -> Option<&SocketEnd> {
        let (client, server) = self.socket.as_ref()?;
        Some(match side {
            Side::Client => client,
            Side::Server => server,
        })
    }

    fn disturb_now(&mut self, what: Disturbance) -> Result<(), GatewayError> {
        match what {
            Disturbance::Stall => self.relay.stall(),
            Disturbance::Cut => self.relay.cut(),
            Disturbance::Resume => self.relay.pass(),
            Disturbance::Restart => {
                self.relay.cut();
                self.sidecar.restart()?;
                self.relay.set_target(self.sidecar.link()?);
                self.relay.pass();
            }
        }
        Ok(())
    }
}

impl OnEnvoy {
    /// A call at whose end something happens to the sidecar.
    fn call_disturbed(
        &mut self,
        request: &Request,
        what: Disturbance,
    ) -> Result<Exchange, GatewayError> {
        let progress = client::Progress::default();
        let watched = client::call_watched(self.envoy.address(), request.clone(), progress.clone());
        let mut running = self.runtime.spawn(watched);
        let ended = self.runtime.block_on(async {
            tokio::select! {
                () = self.stub.almost_done() => None,
                got = timeout(PATIENCE, &mut running) => Some(got),
            }
        });
        if let Some(got) = ended {
            // Refused, or hung.
            running.abort();
            let got = got.ok().and_then(Result::ok).transpose()?;
            return Ok(Exchange {
                response: got.and_then(|got| got.response),
                seen: self.stub.seen(),
                ..Exchange::default()
            });
        }
        self.disturb_now(what)?;
        self.stub.go_on();
        std::thread::sleep(HELD);
        let mut exchange = Exchange::default();
        if !running.is_finished() {
            exchange.waited = Some(progress.body());
            self.disturb_now(Disturbance::Resume)?;
        }
        let got = self
            .runtime
            .block_on(async { timeout(PATIENCE, running).await });
        if let Ok(Ok(got)) = got {
            exchange.response = got?.response;
        }
        exchange.seen = self.stub.seen();
        if exchange.waited.is_some() {
            self.wait_until_ready(RECONNECTED)?;
        }
        Ok(exchange)
    }

    fn call_plainly(&mut self, request: &Request) -> Result<Exchange, GatewayError> {
        let calling = client::call(self.envoy.address(), request);
        let got = self
            .runtime
            .block_on(async { timeout(PATIENCE, calling).await });
        let response = got.ok().transpose()?.and_then(|got| got.response);
        if response.is_none() {
            // A client that has left does not wait for what providers see.
            self.wait();
        }
        Ok(Exchange {
            response,
            seen: self.stub.seen(),
            ..Exchange::default()
        })
    }
}

impl Gateway for OnEnvoy {
    fn call(&mut self, request: &Request, answer: &Answer) -> Result<Exchange, GatewayError> {
        self.stub.prepare(answer);
        let began = now();
        let exchange = match answer.before_end {
            Some(what) => self.call_disturbed(request, what),
            None => self.call_plainly(request),
        };
        Ok(Exchange {
            took: now().duration_since(began),
            ..exchange?
        })
    }

    fn open_socket(&mut self, request: &Request) -> Result<Exchange, GatewayError> {
        self.stub.prepare(&Answer::default());
        let (client, server) = (Arc::new(SocketEnd::default()), self.stub.prepare_socket());
        let opening = client::open_socket(self.envoy.address(), request, Arc::clone(&client));
        let got = self
            .runtime
            .block_on(async { timeout(PATIENCE, opening).await });
        self.socket = Some((client, server));
        let response = got.ok().transpose()?.and_then(|got| got.response);
        Ok(Exchange {
            response,
            seen: self.stub.seen(),
            ..Exchange::default()
        })
    }

    fn say(&mut self, side: Side, bytes: &[u8]) {
        if let Some(end) = self.end(side) {
            end.say(bytes);
        }
    }

    fn heard(&self, side: Side) -> Heard {
        self.end(side).map(|end| end.heard()).unwrap_or_default()
    }

    fn hang_up(&mut self, side: Side) {
        if let Some(end) = self.end(side) {
            end.hang_up();
        }
    }

    fn advance(&mut self, _by: Duration) -> Result<(), GatewayError> {
        Err(GatewayError::RealTime)
    }

    fn disturb(&mut self, what: Disturbance) -> Result<(), GatewayError> {
        self.disturb_now(what)?;
        if matches!(what, Disturbance::Stall | Disturbance::Cut) {
            // The cut must reach Envoy before the next request does.
            std::thread::sleep(Duration::from_millis(50));
            return Ok(());
        }
        self.wait_until_ready(RECONNECTED)
    }

    fn let_arrive(&mut self) -> Result<(), GatewayError> {
        // What is promised: a change counts within a second.
        std::thread::sleep(Duration::from_millis(950));
        Ok(())
    }

    fn wait(&mut self) {
        std::thread::sleep(Duration::from_millis(50));
    }

    fn now(&self) -> UnixMillis {
        self.sidecar.now()
    }

    fn sidecar(&self) -> &Sidecar {
        &self.sidecar
    }

    fn log(&self) -> Vec<String> {
        self.envoy.log()
    }

    fn exposed(&self) -> Vec<(&'static str, String)> {
        let dump = self.admin("/config_dump?include_eds").unwrap_or_default();
        vec![
            ("Envoy's log", self.log().join("\n")),
            ("Envoy's access log", self.access_log()),
            ("the rendered configuration", self.configuration.clone()),
            (
                "Envoy's dump of its configuration",
                String::from_utf8_lossy(&dump).into_owned(),
            ),
        ]
    }
}

#[expect(clippy::disallowed_methods, reason = "real time is what Envoy runs on")]
fn now() -> Instant {
    Instant::now()
}
