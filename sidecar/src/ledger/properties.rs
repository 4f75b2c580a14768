//! Whatever happens, in whatever order: the limit holds, and every call is charged once.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use sekisho_domain::{Policy, Tokens};
use sekisho_link::v1;

use super::desk::Desk;
use super::*;

const TTL: u64 = 10_000;
/// Looks in vain after which nobody waits any longer.
const PATIENCE: u32 = 3;

fn policy(limit: u64) -> Policy {
    Policy::parse(serde_json::json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null}, "apis": [],
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "departments": [{"id": "sales", "name": "Sales"}],
        "budgets": [
            {"id": "tokens", "department": "sales", "meter": "tokens", "window": "minute", "limit": limit},
            {"id": "calls", "department": "sales", "meter": "requests", "window": "day", "limit": limit / 10},
        ],
    }))
    .unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Connect(u8),
    Disconnect(u8),
    Gone(u8),
    Lease(u8, u64),
    /// Asks for a lease, which others may have to give back first.
    Ask(u8, u64),
    /// Gives back what is free, recalled or not, also what the sidecar does not know to be.
    Return(u8, u64),
    /// The sidecar looks after those who wait.
    Look,
    /// Reserves from the holder's lease, or from nothing.
    Admit {
        call: u8,
        holder: u8,
        amount: u64,
        named: bool,
    },
    /// Part of what was reserved, in percent.
    Complete(u8, u64),
    Cancel(u8),
    Pass(u64),
    Tick,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let holder = 1u8..5;
    let call = 0u8..24;
    prop_oneof![
        2 => holder.clone().prop_map(Step::Connect),
        1 => holder.clone().prop_map(Step::Disconnect),
        1 => holder.clone().prop_map(Step::Gone),
        3 => (holder.clone(), 0u64..80).prop_map(|(h, n)| Step::Lease(h, n)),
        5 => (holder.clone(), 0u64..80).prop_map(|(h, n)| Step::Ask(h, n)),
        2 => Just(Step::Look),
        8 => (call.clone(), holder.clone(), 0u64..120, any::<bool>())
            .prop_map(|(call, holder, amount, named)| Step::Admit { call, holder, amount, named }),
        8 => (call.clone(), 0u64..=100).prop_map(|(c, p)| Step::Complete(c, p)),
        1 => call.prop_map(Step::Cancel),
        2 => (holder, 0u64..80).prop_map(|(h, n)| Step::Return(h, n)),
        2 => (0u64..40_000).prop_map(Step::Pass),
        2 => Just(Step::Tick),
        1 => Just(Step::Restart),
    ]
}

/// Ledger, clock, and what must have been charged.
struct World {
    policy: Policy,
    ledger: Ledger,
    desk: Desk,
    /// Requests for leases that have no answer yet.
    asking: HashMap<u64, (HolderId, u64)>,
    asks: u64,
    now: UnixMillis,
    amounts: HashMap<u8, u64>,
    open: HashSet<u8>,
    ended: HashSet<u8>,
    tokens: u64,
    calls: u64,
}

fn holder(n: u8) -> HolderId {
    HolderId([n; 16])
}

fn vm(n: u8) -> VmId {
    VmId([n % 2 + 1; 16])
}

fn id(n: u8) -> RecordId {
    RecordId([n; 16])
}

fn usage(tokens: u64) -> sekisho_domain::Usage {
    sekisho_domain::Usage {
        input: Tokens(tokens),
        ..Default::default()
    }
}

impl World {
    fn new(limit: u64) -> Self {
        let policy = policy(limit);
        Self {
            ledger: Ledger::new(&policy).unwrap(),
            policy,
            desk: Desk::new(PATIENCE),
            asking: HashMap::new(),
            asks: 0,
            now: UnixMillis(1_700_000_000_000),
            amounts: HashMap::new(),
            open: HashSet::new(),
            ended: HashSet::new(),
            tokens: 0,
            calls: 0,
        }
    }

    fn load(&mut self) {
        for name in ["tokens", "calls"] {
            let index = self.ledger.index(name).unwrap();
            let (key, window) = self.ledger.window_at(index, self.now).unwrap();
            // A window that comes back from the database comes with what was settled in it;
            // here windows are forgotten only when they are over.
            self.ledger.load_window(key, window, 0);
        }
    }

    fn key(&self, name: &str) -> WindowKey {
        let index = self.ledger.index(name).unwrap();
        self.ledger.window_at(index, self.now).unwrap().0
    }

    fn apply(&mut self, step: Step) {
        self.load();
        let now = self.now;
        match step {
            Step::Connect(h) => self.ledger.connect(holder(h), vm(h), true, now),
            Step::Disconnect(h) => {
                self.ledger.disconnect(holder(h));
                self.desk.leave(holder(h));
                self.asking.retain(|_, (asking, _)| *asking != holder(h));
            }
            Step::Gone(h) => self.ledger.gone(holder(h)),
            Step::Lease(h, need) if self.ledger.is_live(holder(h)) => {
                let before = self
                    .ledger
                    .window(&self.key("tokens"))
                    .unwrap()
                    .remaining(self.policy.budgets[0].limit);
                match self
                    .ledger
                    .grant(holder(h), &[("tokens", need), ("calls", 1)], true, now)
                {
                    Ok(grants) => assert!(grants.iter().all(|g| g.amount >= 1.min(need))),
                    Err(exhausted) if exhausted.budget.as_str() == "tokens" => {
                        assert!(need > before);
                    }
                    Err(_) => {}
                }
            }
            Step::Admit {
                call,
                holder: h,
                amount,
                named,
            } => self.admit(call, h, amount, named),
            Step::Complete(call, percent) => self.complete(call, percent),
            Step::Cancel(call) => {
                let was_open = self.ledger.cancel(&id(call), now);
                assert_eq!(was_open, self.open.remove(&call));
                if was_open {
                    self.ended.insert(call);
                }
            }
            Step::Return(h, amount) => {
                let start = self.key("tokens").start;
                let ledger = &mut self.ledger;
                self.desk
                    .give_back(ledger, holder(h), "tokens", start, amount);
                self.desk.serve_waiting(&mut self.ledger, now);
            }
            Step::Ask(h, need) if self.ledger.is_live(holder(h)) => self.ask(holder(h), need),
            Step::Look => self.look(),
            Step::Pass(millis) => {
                self.now = now.plus_millis(millis);
                for vm in [VmId([1; 16]), VmId([2; 16])] {
                    if millis % 3 > 0 {
                        self.ledger.seen(vm, self.now);
                    }
                }
            }
            Step::Tick => {
                for vm in self.ledger.silent(now, TTL) {
                    for RecordId([call, ..]) in self.ledger.expire(vm) {
                        self.complete(call, 100);
                    }
                }
                self.ledger.sweep(now);
            }
            Step::Restart => self.restart(),
            Step::Lease(..) | Step::Ask(..) => {}
        }
        self.hear();
    }

    fn ask(&mut self, asking: HolderId, need: u64) {
        self.asks += 1;
        let demand = |budget: &str, amount| v1::Demand {
            budget: budget.to_owned(),
            amount,
        };
        let request = v1::LeaseRequest {
            id: self.asks,
            demands: vec![demand("tokens", need), demand("calls", 1)],
        };
        let ledger = &mut self.ledger;
        if self.desk.lease(ledger, asking, request, self.now).is_none() {
            self.asking.insert(self.asks, (asking, need));
        }
    }

    fn look(&mut self) {
        self.desk.grow_impatient();
        self.desk.serve_waiting(&mut self.ledger, self.now);
    }

    /// Whoever waited and is answered gets what it asked for, and no more while others wait.
    fn hear(&mut self) {
        for (told, down) in self.desk.take_outgoing() {
            for answer in down.lease_answers {
                let (asking, need) = self.asking.remove(&answer.id).unwrap();
                assert_eq!(asking, told);
                let mut tokens = answer.leases.iter().filter(|l| l.budget == "tokens");
                if answer.exhausted.is_none() {
                    assert_eq!(tokens.next().unwrap().amount, need);
                }
            }
            for recall in down.recalls {
                assert!(self.ledger.is_live(told), "{recall:?}");
            }
        }
    }

    fn admit(&mut self, call: u8, h: u8, amount: u64, named: bool) {
        // The log takes each record once.
        if self.ended.contains(&call) {
            return;
        }
        let asked = [("tokens", amount), ("calls", 1)].map(|(budget, amount)| Asked {
            holder: holder(h),
            budget: budget.into(),
            window_start: self.key(budget).start,
            amount,
        });
        let admitted = self.ledger.admit(&Admit {
            id: id(call),
            vm: vm(h),
            call: Covered {
                department: "sales",
                ..Covered::default()
            },
            at: self.now,
            asked: if named { &asked } else { &[] },
            worst: usage(amount),
            worst_cost: sekisho_domain::Micros(0),
            binding: true,
        });
        if admitted.is_ok() && self.open.insert(call) {
            let held = &self.ledger.open_call(&id(call)).unwrap().held;
            // Without named leases, only what there was is covered.
            self.amounts.insert(call, held[0].amount);
            if held[1].amount == 0 {
                self.ledger.cancel(&id(call), self.now);
                self.open.remove(&call);
            }
        }
    }

    fn complete(&mut self, call: u8, percent: u64) {
        let used = self.amounts.get(&call).map_or(0, |a| a * percent / 100);
        let charges = self
            .ledger
            .complete(&id(call), &usage(used), Default::default(), self.now);
        assert_eq!(charges.is_some(), self.open.remove(&call), "charged once");
        for charge in charges.into_iter().flatten() {
            assert_eq!(charge.excess, 0);
            if charge.budget.as_str() == "tokens" {
                self.tokens += charge.amount;
                assert_eq!(charge.amount, used);
            } else {
                self.calls += charge.amount;
            }
            self.ended.insert(call);
        }
    }

    /// Everything that the tables keep, and nothing else.
    fn restart(&mut self) {
        self.desk = Desk::new(PATIENCE);
        self.asking.clear();
        let former = std::mem::replace(&mut self.ledger, Ledger::new(&self.policy).unwrap());
        for (id, known) in &former.holders {
            self.ledger.load_holder(*id, known.vm, self.now);
        }
        for (key, state) in &former.windows {
            let window = Window {
                start: key.start,
                end: state.end,
            };
            self.ledger.load_window(*key, window, state.settled);
        }
        for ((id, key), account) in &former.accounts {
            self.ledger.load_account(*id, *key, *account);
        }
        for (id, call) in &former.open {
            self.ledger.load_call(*id, call.clone(), self.now);
        }
    }

    fn check(&self) {
        assert_eq!(self.ledger.contradiction(), None);
        assert!(
            self.ledger
                .windows
                .values()
                .all(|window| window.excess == 0)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_limit_holds_and_every_call_is_charged_once(
        limit in prop::sample::select(vec![0u64, 10, 100, 1000]),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(limit);
        for step in steps {
            world.apply(step);
            world.check();
        }
        for _ in 0..=PATIENCE {
            world.apply(Step::Look);
        }
        prop_assert!(!world.desk.is_anybody_waiting(), "nobody waits for ever");
        // Everybody falls silent: every open call ends, nothing is left with anybody.
        world.now = world.now.plus_millis(TTL * 2);
        world.apply(Step::Tick);
        world.check();
        prop_assert!(world.open.is_empty());
        prop_assert!(world.ledger.accounts.is_empty(), "{:?}", world.ledger.accounts);
        prop_assert!(world.ledger.open.is_empty());
    }
}

#[test]
fn leases_shrink_as_a_budget_nears_its_end() {
    let mut world = World::new(1000);
    for h in 1..=4 {
        world.apply(Step::Connect(h));
    }
    world.load();
    let mut grant = |need: u64| {
        let grants = world
            .ledger
            .grant(holder(1), &[("tokens", need)], true, world.now);
        grants.map(|grants| (grants[0].amount, grants[0].remaining))
    };
    assert_eq!(grant(10), Ok((125, 875)));
    assert_eq!(grant(1), Ok((64, 811)));
    assert_eq!(grant(800), Ok((800, 11)));
    assert_eq!(grant(2), Ok((2, 9)));
    let exhausted = grant(10).unwrap_err();
    assert_eq!((exhausted.limit, exhausted.remaining), (1000, 9));
}

#[test]
fn all_demands_are_granted_or_none() {
    let mut world = World::new(1000);
    world.apply(Step::Connect(1));
    world.load();
    let demands = [("tokens", 5), ("calls", 101)];
    let refused = world.ledger.grant(holder(1), &demands, true, world.now);
    assert_eq!(refused.unwrap_err().budget.as_str(), "calls");
    assert!(world.ledger.accounts.is_empty());
    let unknown = world
        .ledger
        .grant(holder(1), &[("nobody", 1)], true, world.now);
    assert_eq!(unknown.unwrap_err().limit, 0);
}

#[test]
fn a_call_that_used_more_than_it_reserved_is_charged_truthfully() {
    let mut world = World::new(100);
    world.apply(Step::Connect(1));
    let call = Step::Admit {
        call: 1,
        holder: 1,
        amount: 90,
        named: true,
    };
    world.apply(call);
    let charges = world
        .ledger
        .complete(&id(1), &usage(150), Default::default(), world.now);
    let tokens = &charges.unwrap()[0];
    assert_eq!((tokens.amount, tokens.excess), (150, 60));
    let window = world.ledger.window(&world.key("tokens")).unwrap();
    assert_eq!(
        (window.settled, window.excess, window.remaining(100)),
        (150, 50, 0)
    );
    assert_eq!(world.ledger.contradiction(), None);
}

#[test]
fn a_call_on_a_lease_that_has_ended_is_refused_unless_something_is_left() {
    let mut world = World::new(100);
    world.apply(Step::Connect(1));
    world.apply(Step::Connect(2));
    world.apply(Step::Lease(1, 60));
    world.apply(Step::Gone(1));
    world.apply(Step::Lease(2, 70));
    world.admit(1, 1, 60, true);
    assert!(world.open.is_empty());
    world.admit(2, 1, 30, true);
    assert!(world.open.contains(&2));
}
