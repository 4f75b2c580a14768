//! The gateway on the test host: real modules, the real sidecar over real gRPC, and time that
//! stands still unless somebody waits.

mod bridge;
mod pools;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use sekisho_domain::UnixMillis;

use self::bridge::Bridge;
use crate::gateway::{
    Answer, AnswerEnd, Disturbance, Exchange, Gateway, GatewayError, Heard, ModuleSet, Place,
    Request, Response, Seen, Side,
};
use crate::host::{
    FailPolicy, Headers, Host, HostBuilder, Outcome, PluginSpec, RequestHead, StreamId, UnixNanos,
    WorkerId,
};
use crate::sidecar::Sidecar;

/// The cluster of the sidecar, as `sekisho render` names it.
const SIDECAR: &str = "sekisho_sidecar";
/// The header by which the upstream filter names a cluster.
const CLUSTER: &str = "x-sekisho-cluster";
/// What the routes of `sekisho render` take away.
const REMOVED_BY_ROUTE: [&str; 4] = [
    CLUSTER,
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-external-address",
];
/// The machine that Envoy would run on.
const MACHINE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Time moves in steps of this length while somebody waits.
const STEP: Duration = Duration::from_millis(10);
/// Nobody waits longer than this.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer's end must be held to count as held.
const HELD: Duration = Duration::from_millis(300);

/// The gateway on the test host.
pub struct OnHost {
    host: Host,
    bridge: Rc<RefCell<Bridge>>,
    sidecar: Sidecar,
    requests: u64,
    workers: usize,
    /// The WebSocket that was opened last.
    socket: Option<StreamId>,
    /// The request that was sent last.
    last: Option<StreamId>,
}

impl OnHost {
    /// Loads the modules from a folder and connects them to the sidecar, whose clock must be
    /// one that stands.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn start(
        modules: ModuleSet,
        place: &Place,
        sidecar: Sidecar,
    ) -> Result<Self, GatewayError> {
        Self::start_with(modules, place, sidecar, 1)
    }

    /// The same with so many workers, which take turns.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn start_with(
        modules: ModuleSet,
        place: &Place,
        sidecar: Sidecar,
        workers: usize,
    ) -> Result<Self, GatewayError> {
        Self::start_lacking(&[], modules, place, sidecar, workers)
    }

    /// The same on a host that lacks these foreign functions.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn start_lacking(
        foreign_functions: &[&str],
        modules: ModuleSet,
        place: &Place,
        sidecar: Sidecar,
        workers: usize,
    ) -> Result<Self, GatewayError> {
        let mut builder = Host::builder();
        for name in foreign_functions {
            builder = builder.without_foreign_function(name);
        }
        Self::begin(builder, modules, place, sidecar, workers)
    }

    /// The same on a host with one worker that takes the time that VMs take.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn start_timed(
        modules: ModuleSet,
        place: &Place,
        sidecar: Sidecar,
    ) -> Result<Self, GatewayError> {
        Self::begin(Host::builder().timed(), modules, place, sidecar, 1)
    }

    fn begin(
        builder: HostBuilder,
        modules: ModuleSet,
        place: &Place,
        sidecar: Sidecar,
        workers: usize,
    ) -> Result<Self, GatewayError> {
        let hand = sidecar.hand().cloned().ok_or(GatewayError::RealTime)?;
        let bridge = Bridge::new(&sidecar, hand)?;
        let bridge = Rc::new(RefCell::new(bridge));
        let body_limit = usize::try_from(sidecar.policy().request_body_bytes).unwrap_or(usize::MAX);
        let now = UnixNanos(sidecar.now().0.saturating_mul(1_000_000));
        let mut builder = builder
            .starts_at(now)
            // Other runs have other random bytes.
            .seed(now.0)
            .buffer_limit(body_limit)
            .workers(workers)
            .grpc_peer(SIDECAR, Rc::clone(&bridge));
        for name in modules.names() {
            let path = place.filters.join(format!("{name}.wasm"));
            let wasm = std::fs::read(&path).map_err(|_| GatewayError::NoModule(path))?;
            let plugin = format!("sekisho_{name}");
            builder = builder.module(name, wasm).plugin(PluginSpec {
                name: plugin.clone(),
                module: (*name).to_owned(),
                root_id: plugin.clone(),
                vm_id: plugin,
                configuration: format!(r#"{{"link":{{"cluster":"{SIDECAR}"}}}}"#).into_bytes(),
                allow_on_headers_stop_iteration: true,
                fail_policy: FailPolicy::FailReload,
                ..PluginSpec::default()
            });
        }
        let mut gateway = Self {
            host: builder.build()?,
            bridge,
            sidecar,
            requests: 0,
            workers,
            socket: None,
            last: None,
        };
        // Streams to the sidecar are opened by the first tick.
        gateway.pass(Duration::from_millis(500));
        Ok(gateway)
    }

    /// The proxy itself, for a look at what it has done.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The request that was sent last.
    #[must_use]
    pub const fn last(&self) -> Option<StreamId> {
        self.last
    }

    /// Begins a request, whatever becomes of it.
    pub fn begin_call(&mut self, request: &Request) -> StreamId {
        let head = self.head(request);
        let turn = usize::try_from(self.requests).unwrap_or_default() % self.workers.max(1);
        let stream = self.host.request(WorkerId(turn), head);
        self.last = Some(stream);
        let last = request.body.len().saturating_sub(1);
        for (at, piece) in request.body.iter().enumerate() {
            self.host.request_body(stream, piece, at == last);
        }
        stream
    }

    /// How many batches filters have sent that a stalled sidecar has not heard.
    #[must_use]
    pub fn unheard(&self) -> usize {
        self.bridge.borrow().unheard()
    }

    /// Lets time pass on the host; the sidecar's clock follows.
    fn pass(&mut self, by: Duration) {
        self.host.advance(by);
        if let Some(hand) = self.sidecar.hand() {
            hand.set(millis(self.host.now()));
        }
        self.deliver();
    }

    /// Hands over what the sidecar has sent of its own accord.
    fn deliver(&mut self) {
        let arrived = self.bridge.borrow_mut().take_arrived();
        for arrival in arrived {
            match arrival {
                (stream, Ok(message)) => self.host.grpc_send(stream, message),
                (stream, Err(status)) => self.host.grpc_close(stream, status),
            }
        }
    }

    /// Lets time pass until `done`, or until nobody would wait any longer.
    fn until(&mut self, done: impl Fn(&Host) -> bool) {
        let mut waited = Duration::ZERO;
        while !done(&self.host) && waited < PATIENCE {
            self.pass(STEP);
            waited += STEP;
        }
    }

    fn head(&mut self, request: &Request) -> RequestHead {
        self.requests += 1;
        let mut headers = Headers::from([
            (":method", request.method.as_str()),
            (":scheme", "http"),
            (":authority", "gateway.test"),
            (":path", request.path.as_str()),
        ]);
        for (name, value) in &request.headers {
            headers.add(name, value);
        }
        if !request.body.is_empty() {
            let length = request.body.iter().map(Vec::len).sum::<usize>();
            match request.chunked {
                true => headers.add("transfer-encoding", "chunked"),
                false => headers.add("content-length", length.to_string()),
            }
        }
        let trusted_hops = self.sidecar.policy().trusted_hops;
        say_where_from(&mut headers, request, trusted_hops);
        headers.set("x-forwarded-proto", "http");
        headers.set(
            "x-request-id",
            format!("00000000-0000-4000-8000-{:012}", self.requests),
        );
        RequestHead {
            headers,
            end_of_stream: request.body.is_empty(),
            ..RequestHead::default()
        }
    }

    /// What left the chain, once all of it has.
    fn seen(&self, stream: StreamId) -> Result<Option<Seen>, GatewayError> {
        let Some(upstream) = self.host.upstream(stream) else {
            return Ok(None);
        };
        let text = |name: &str| upstream.headers.text(name).unwrap_or_default().to_owned();
        let headers = upstream
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with(':') && !REMOVED_BY_ROUTE.contains(name));
        Ok(Some(Seen {
            cluster: text(CLUSTER),
            method: text(":method"),
            path: text(":path"),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            body: upstream.body(),
            log_size: self.sidecar.log_size()?,
        }))
    }

    /// Answers in the provider's place. Says what the client had when the end was held.
    fn answer(
        &mut self,
        stream: StreamId,
        request: &Request,
        answer: &Answer,
    ) -> Result<Option<Vec<u8>>, GatewayError> {
        let length: usize = answer.body.iter().map(Vec::len).sum();
        let mut headers = Headers::from([(":status", answer.status.to_string())]);
        for (name, value) in &answer.headers {
            headers.add(name, value);
        }
        match answer.chunked {
            true => headers.add("transfer-encoding", "chunked"),
            false => headers.add("content-length", length.to_string()),
        }
        let ends_at_headers = length == 0 && answer.end == AnswerEnd::Whole;
        self.host.response_headers(stream, headers, ends_at_headers);
        let held_back = usize::from(answer.before_end.is_some() && length > 0);
        let mut sent = 0;
        for piece in &answer.body {
            let most = (length - held_back).saturating_sub(sent).min(piece.len());
            sent += most;
            self.host
                .response_body(stream, piece.get(..most).unwrap_or_default(), false);
            let got = self.host.outcome(stream).map_or(0, |got| got.body().len());
            if request.leaves_after.is_some_and(|bytes| got >= bytes) {
                self.host.abort_client(stream);
                return Ok(None);
            }
        }
        if let Some(what) = answer.before_end {
            self.disturb(what)?;
        }
        match answer.end {
            AnswerEnd::Whole => {
                let last = answer.body.last().and_then(|piece| piece.last().copied());
                let last: Vec<u8> = last.into_iter().take(held_back).collect();
                self.host.response_body(stream, last, true);
            }
            AnswerEnd::Cut => self.host.reset_upstream(stream),
            AnswerEnd::Never | AnswerEnd::Unanswered => {}
        }
        if answer.before_end.is_none() {
            return Ok(None);
        }
        self.pass(HELD);
        let outcome = self.host.outcome(stream);
        let held = outcome
            .filter(|outcome| !has_ended(outcome))
            .map(|outcome| outcome.body());
        if held.is_some() {
            self.disturb(Disturbance::Resume)?;
        }
        Ok(held)
    }
}

/// Envoy's way to tell where a request comes from (with `use_remote_address`): what the client
/// says of that, then its address; and apart from that the address that Envoy itself trusts.
fn say_where_from(headers: &mut Headers, request: &Request, trusted_hops: u8) {
    let peer = request.from.unwrap_or(Ipv4Addr::LOCALHOST);
    let said = request.headers.iter();
    let said = said.filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
    let mut entries: Vec<Vec<u8>> = said.map(|(_, value)| value.clone()).collect();
    let joined = entries.join(&b',');
    let hops = usize::from(trusted_hops);
    let entry = hops
        .checked_sub(1)
        .and_then(|nearer| joined.rsplit(|byte| *byte == b',').nth(nearer))
        .and_then(|entry| std::str::from_utf8(entry).ok()?.trim().parse().ok());
    let trusted: IpAddr = entry.unwrap_or(peer.into());
    // Instead of the loopback address Envoy appends its machine's own.
    let appended = match peer {
        Ipv4Addr::LOCALHOST => MACHINE,
        peer => peer,
    };
    entries.push(appended.to_string().into_bytes());
    headers.set("x-forwarded-for", entries.join(&b','));
    headers.set("x-envoy-external-address", trusted.to_string());
}

impl Gateway for OnHost {
    fn call(&mut self, request: &Request, answer: &Answer) -> Result<Exchange, GatewayError> {
        self.deliver();
        let (began, memory) = (self.host.now(), self.host.all_memory_bytes());
        let stream = self.begin_call(request);
        self.until(|host| {
            let passed = host
                .upstream(stream)
                .is_some_and(|upstream| upstream.complete);
            passed || host.outcome(stream).is_none_or(|outcome| outcome.ended())
        });
        let mut exchange = Exchange::default();
        if let Some(seen) = self.seen(stream)? {
            let order = pools::order(self.sidecar.policy(), &seen.cluster);
            let (asked, answer) = pools::ask(&order, answer);
            exchange.seen.extend(asked.iter().map(|upstream| Seen {
                cluster: upstream.clone(),
                ..seen.clone()
            }));
            match answer {
                Some(answer) => {
                    self.pass(answer.after);
                    exchange.waited = self.answer(stream, request, &answer)?;
                }
                None => {
                    // No route of `sekisho render` leads anywhere then.
                    let headers = Headers::from([(":status", "404")]);
                    self.host.response_headers(stream, headers, true);
                }
            }
        }
        if answer.end != AnswerEnd::Never {
            self.until(|host| host.outcome(stream).is_none_or(|outcome| outcome.ended()));
        }
        exchange.took = self.host.now().since(began);
        exchange.grown = Some(self.host.all_memory_bytes().saturating_sub(memory));
        exchange.response = self.host.outcome(stream).and_then(|outcome| {
            let headers = outcome
                .headers
                .iter()
                .filter(|(name, _)| !name.starts_with(':'));
            Some(Response {
                status: outcome.status?,
                headers: headers
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .collect(),
                body: outcome.body(),
                complete: outcome.completed,
            })
        });
        Ok(exchange)
    }

    fn open_socket(&mut self, request: &Request) -> Result<Exchange, GatewayError> {
        self.deliver();
        let mut head = self.head(request);
        head.end_of_stream = false;
        let turn = usize::try_from(self.requests).unwrap_or_default() % self.workers.max(1);
        let stream = self.host.request(WorkerId(turn), head);
        self.socket = Some(stream);
        self.host.upgrade_begins(stream);
        self.until(|host| {
            let passed = host.upstream(stream).is_some();
            passed || host.outcome(stream).is_none_or(|outcome| outcome.ended())
        });
        let mut exchange = Exchange::default();
        if let Some(seen) = self.seen(stream)? {
            exchange.seen.push(seen);
            let headers = Headers::from([
                (":status", "101"),
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
            ]);
            self.host.response_headers(stream, headers, false);
        }
        exchange.response = self.host.outcome(stream).and_then(|outcome| {
            let headers = outcome
                .headers
                .iter()
                .filter(|(name, _)| !name.starts_with(':'));
            let status = outcome.status?;
            Some(Response {
                status,
                headers: headers
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .collect(),
                body: outcome.body(),
                complete: outcome.completed || status == 101,
            })
        });
        Ok(exchange)
    }

    fn say(&mut self, side: Side, bytes: &[u8]) {
        let Some(stream) = self.socket else { return };
        match side {
            Side::Client => self.host.request_body(stream, bytes, false),
            Side::Server => self.host.response_data_frame(stream, bytes, false),
        }
        self.pass(STEP);
    }

    fn heard(&self, side: Side) -> Heard {
        let Some(stream) = self.socket else {
            return Heard::default();
        };
        let outcome = self.host.outcome(stream);
        Heard {
            over: outcome.is_none_or(|outcome| outcome.ended()),
            bytes: match side {
                Side::Client => outcome.map(Outcome::body).unwrap_or_default(),
                Side::Server => {
                    let upstream = self.host.upstream(stream);
                    upstream.map(|upstream| upstream.body()).unwrap_or_default()
                }
            },
        }
    }

    fn hang_up(&mut self, side: Side) {
        let Some(stream) = self.socket else { return };
        match side {
            Side::Client => self.host.abort_client(stream),
            Side::Server => self.host.response_body(stream, [], true),
        }
        self.pass(STEP);
    }

    fn advance(&mut self, by: Duration) -> Result<(), GatewayError> {
        // In pieces, so that pushes arrive on the way.
        let mut rest = by;
        while !rest.is_zero() {
            let piece = rest.min(Duration::from_secs(1));
            self.pass(piece);
            rest -= piece;
        }
        Ok(())
    }

    fn disturb(&mut self, what: Disturbance) -> Result<(), GatewayError> {
        match what {
            Disturbance::Stall => self.bridge.borrow_mut().stall(),
            Disturbance::Cut => {
                self.host.set_grpc_reachable(SIDECAR, false);
                self.bridge.borrow_mut().drop_streams();
            }
            Disturbance::Resume => {
                self.bridge.borrow_mut().resume();
                self.deliver();
                self.host.set_grpc_reachable(SIDECAR, true);
            }
            Disturbance::Restart => {
                self.host.set_grpc_reachable(SIDECAR, false);
                self.bridge.borrow_mut().disconnect();
                self.sidecar.restart()?;
                self.bridge.borrow_mut().reconnect(&self.sidecar)?;
                self.host.set_grpc_reachable(SIDECAR, true);
            }
        }
        if matches!(what, Disturbance::Resume | Disturbance::Restart) {
            self.pass(Duration::from_millis(500));
        }
        Ok(())
    }

    fn let_arrive(&mut self) -> Result<(), GatewayError> {
        let pushed = self.bridge.borrow_mut().wait_for_snapshot();
        self.deliver();
        if pushed {
            Ok(())
        } else {
            Err(crate::sidecar::SidecarError::NotPushed.into())
        }
    }

    fn wait(&mut self) {
        self.pass(Duration::from_millis(100));
    }

    fn now(&self) -> UnixMillis {
        millis(self.host.now())
    }

    fn sidecar(&self) -> &Sidecar {
        &self.sidecar
    }

    fn log(&self) -> Vec<String> {
        let lines = self.host.logs().iter();
        let mut seen = BTreeMap::new();
        for line in lines {
            let plugin = line.plugin.as_deref().unwrap_or("-");
            let text = format!("{:?} {plugin}: {}", line.level, line.text);
            *seen.entry(text).or_insert(0u32) += 1;
        }
        seen.into_iter()
            .map(|(text, times)| format!("{times} x {text}"))
            .collect()
    }
}

/// To a client, an answer with a length has ended when it is so long.
fn has_ended(outcome: &Outcome) -> bool {
    let length = outcome.headers.text("content-length");
    let length = length.and_then(|length| length.parse().ok());
    outcome.ended() || length.is_some_and(|length: usize| outcome.body().len() >= length)
}

const fn millis(now: UnixNanos) -> UnixMillis {
    UnixMillis(now.0 / 1_000_000)
}
