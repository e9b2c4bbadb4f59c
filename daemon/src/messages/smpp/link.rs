//! The way to one message centre: who may submit when, and the connection that is made again and
//! again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::Smpp;
use rusmpp::pdus::{BindTransceiver, SubmitSm};
use rusmpp::types::COctetString;
use rusmpp::values::InterfaceVersion;
use sip::Secret;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::receipt::{self, Verdict};
use super::session::{Delivery, Order, Session, SessionError, SubmitEnd};

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// The first wait before a connection is made again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that lived so long was a good one: the next begins without a long wait.
const GOOD_LIFE: Duration = Duration::from_secs(60);
/// How long nothing is submitted after the centre said that it was too much; doubled while it
/// goes on saying so.
const FIRST_THROTTLE: Duration = Duration::from_millis(100);
const LONGEST_THROTTLE: Duration = Duration::from_secs(10);
/// One place in so many of the window is kept for codes, which are of use only at once.
const KEPT_FOR_CODES: usize = 5;
/// The ports of message centres, in clear and under TLS.
const PORT: u16 = 2775;
const TLS_PORT: u16 = 3550;

/// The door to one message centre. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Door>);

struct Door {
    window: Arc<Semaphore>,
    /// What of the window who can wait may fill: the rest is kept for codes.
    patient: Arc<Semaphore>,
    pace: Mutex<Pace>,
    open: Mutex<OpenSlots>,
    /// Whether an answer to a submit showed that the centre counts its texts in hexadecimal.
    ids_are_hexadecimal: AtomicBool,
    bound: watch::Receiver<bool>,
    orders: mpsc::Sender<Order>,
}

/// The slots that are held, by their numbers.
#[derive(Default)]
struct OpenSlots {
    next: u64,
    held: BTreeSet<u64>,
}

/// A moment in the life of a link, by the slots that were given out until then.
#[derive(Clone, Copy)]
pub(super) struct Mark(u64);

/// When the next part may leave.
struct Pace {
    interval: Duration,
    next: Instant,
    /// How long a throttled link rests; zero: it is not throttled.
    throttle: Duration,
    rests_until: Instant,
}

impl Pace {
    /// A moment that nobody else has.
    fn take(&mut self, now: Instant) -> Instant {
        let moment = self.next.max(now);
        self.next = moment + self.interval;
        moment
    }

    /// At once, and everybody after it later; `None`: the link rests.
    fn take_first(&mut self, now: Instant) -> Option<Instant> {
        if self.rests_until > now {
            return None;
        }
        self.next = self.next.max(now) + self.interval;
        Some(now)
    }

    /// Answers of one window come together: they slow it down once.
    fn throttled(&mut self, now: Instant) {
        if now >= self.rests_until {
            self.throttle = (self.throttle * 2).clamp(FIRST_THROTTLE, LONGEST_THROTTLE);
            self.rests_until = now + self.throttle;
        }
    }

    fn taken(&mut self) {
        self.throttle /= 2;
        if self.throttle < FIRST_THROTTLE {
            self.throttle = Duration::ZERO;
        }
    }
}

impl Link {
    /// Waits until a part may be submitted: the link is bound, its window has room, its pace lets
    /// it. Cancel-safe.
    pub(super) async fn reserve(&self) -> Slot {
        let mut bound = self.0.bound.clone();
        loop {
            if bound.wait_for(|bound| *bound).await.is_err() {
                // The link's task has ended with the process.
                std::future::pending::<()>().await;
            }
            let mut permits = Vec::with_capacity(2);
            for room in [&self.0.patient, &self.0.window] {
                let permit = room.clone().acquire_owned().await;
                permits.push(permit.expect("a window is never closed"));
            }
            self.moment().await;
            if *bound.borrow_and_update() {
                return self.slot(Instant::now(), permits);
            }
        }
    }

    /// A place at once, before all who wait; `None`: the link is down, throttled or full.
    pub(super) fn try_reserve(&self) -> Option<Slot> {
        let permit = self.0.window.clone().try_acquire_owned().ok()?;
        if !*self.0.bound.borrow() {
            return None;
        }
        let moment = self.pace(|pace| pace.take_first(Instant::now()))?;
        Some(self.slot(moment, vec![permit]))
    }

    fn slot(&self, moment: Instant, permits: Vec<OwnedSemaphorePermit>) -> Slot {
        let number = self.open(|open| {
            open.next += 1;
            open.held.insert(open.next);
            open.next
        });
        Slot { link: self.clone(), number, moment, _permits: permits }
    }

    /// This moment, for [`Link::has_written`].
    pub(super) fn mark(&self) -> Mark {
        Mark(self.open(|open| open.next))
    }

    /// Whether what became of each part that had left by then is written down.
    pub(super) fn has_written(&self, mark: Mark) -> bool {
        self.open(|open| open.held.first().is_none_or(|&number| number > mark.0))
    }

    /// Whether the centre was seen to count its texts in hexadecimal.
    pub(super) fn ids_are_hexadecimal(&self) -> bool {
        self.0.ids_are_hexadecimal.load(Ordering::Relaxed)
    }

    /// Waits for a moment of its own, and for the end of a rest.
    async fn moment(&self) {
        let moment = self.pace(|pace| pace.take(Instant::now()));
        tokio::time::sleep_until(moment).await;
        loop {
            let rests_until = self.pace(|pace| pace.rests_until);
            if rests_until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(rests_until).await;
        }
    }

    fn open<T>(&self, act: impl FnOnce(&mut OpenSlots) -> T) -> T {
        act(&mut self.0.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn pace<T>(&self, act: impl FnOnce(&mut Pace) -> T) -> T {
        act(&mut self.0.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to have one part out. Held until what became of the part is written down.
pub(super) struct Slot {
    link: Link,
    number: u64,
    /// When its pace lets it leave.
    moment: Instant,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Slot {
    /// Submits a part and waits for what becomes of it.
    pub(super) async fn submit(&self, submit: SubmitSm) -> SubmitEnd {
        tokio::time::sleep_until(self.moment).await;
        let (end, ended) = oneshot::channel();
        let order = Order { submit: Box::new(submit), end };
        if self.link.0.orders.send(order).await.is_err() {
            return SubmitEnd::NotSent;
        }
        // An order that is dropped unanswered never reached a session.
        let end = ended.await.unwrap_or(SubmitEnd::NotSent);
        if let SubmitEnd::Answered { status, remote_id } = &end {
            if remote_id.as_deref().is_some_and(receipt::is_hexadecimal) {
                self.link.0.ids_are_hexadecimal.store(true, Ordering::Relaxed);
            }
            match Verdict::of(*status) {
                Verdict::Throttled => self.link.pace(|pace| pace.throttled(Instant::now())),
                Verdict::Taken => self.link.pace(Pace::taken),
                Verdict::Later | Verdict::Refused => {}
            }
        }
        end
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.link.open(|open| open.held.remove(&self.number));
    }
}

/// What a link is made from.
pub(crate) struct LinkParts {
    /// As the file has it.
    pub(crate) settings: Smpp,
    /// What `password` names.
    pub(crate) password: Option<Secret>,
    /// Where deliveries go; one that finds no room is delivered again.
    pub(super) deliveries: mpsc::Sender<Delivery>,
    /// Half to all of a wait, by chance.
    pub(super) jitter: Box<dyn Fn(Duration) -> Duration + Send + Sync>,
    /// Cancelled when the process is to stop.
    pub(super) stop: CancellationToken,
}

/// The door, and the task that keeps the connection.
pub(super) fn open(parts: LinkParts) -> (Link, impl Future<Output = ()>) {
    let (orders, waiting) = mpsc::channel(usize::from(parts.settings.window));
    let (bound, is_bound) = watch::channel(false);
    (door(&parts.settings, is_bound, orders), keep(parts, waiting, bound))
}

/// A door that lets out what the settings allow.
pub(super) fn door(
    settings: &Smpp,
    bound: watch::Receiver<bool>,
    orders: mpsc::Sender<Order>,
) -> Link {
    let now = Instant::now();
    let pace = Pace {
        interval: Duration::from_secs(1) / settings.throughput,
        next: now,
        throttle: Duration::ZERO,
        rests_until: now,
    };
    let places = usize::from(settings.window);
    let window = Arc::new(Semaphore::new(places));
    let patient = Arc::new(Semaphore::new(places - places / KEPT_FOR_CODES));
    Link(Arc::new(Door {
        window,
        patient,
        pace: Mutex::new(pace),
        open: Mutex::default(),
        ids_are_hexadecimal: AtomicBool::new(false),
        bound,
        orders,
    }))
}

async fn keep(parts: LinkParts, mut orders: mpsc::Receiver<Order>, bound: watch::Sender<bool>) {
    let name = parts.settings.name.clone();
    let mut pause = FIRST_PAUSE;
    while !parts.stop.is_cancelled() {
        let began = Instant::now();
        match connection(&parts, &mut orders, &bound).await {
            Ok(()) if parts.stop.is_cancelled() => break,
            Ok(()) => tracing::info!(link = %name, "the message centre's connection ended"),
            Err(error) => tracing::warn!(link = %name, %error, "no way to the message centre"),
        }
        if began.elapsed() >= GOOD_LIFE {
            pause = FIRST_PAUSE;
        }
        let wait = tokio::time::sleep((parts.jitter)(pause));
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                () = parts.stop.cancelled() => break,
                Some(order) = orders.recv() => {
                    // Whoever submitted may have stopped waiting.
                    let _ = order.end.send(SubmitEnd::NotSent);
                }
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connection(
    parts: &LinkParts,
    orders: &mut mpsc::Receiver<Order>,
    bound: &watch::Sender<bool>,
) -> Result<(), SessionError> {
    let host = &parts.settings.host;
    let port = host.port.unwrap_or(if parts.settings.tls { TLS_PORT } else { PORT });
    let stream = bounded(TcpStream::connect((host.host.as_str(), port)), &parts.stop).await?;
    stream.set_nodelay(true)?;
    if parts.settings.tls {
        use tokio_rustls::rustls::pki_types::ServerName;
        let name = ServerName::try_from(host.host.clone()).map_err(std::io::Error::other)?;
        // Read for each connection: an authority that was exchanged counts at the next one.
        let connector = match &parts.settings.ca {
            Some(authorities) => crate::tls_client::connector_trusting(authorities)?,
            None => crate::tls_client::connector()?,
        };
        let stream = bounded(connector.connect(name, stream), &parts.stop).await?;
        return serve(parts, stream, orders, bound).await;
    }
    serve(parts, stream, orders, bound).await
}

async fn bounded<T>(
    work: impl Future<Output = std::io::Result<T>>,
    stop: &CancellationToken,
) -> Result<T, SessionError> {
    tokio::select! {
        done = tokio::time::timeout(CONNECT_DEADLINE, work) => match done {
            Ok(done) => Ok(done?),
            Err(_) => Err(SessionError::Silent),
        },
        () = stop.cancelled() => Err(SessionError::Unbound),
    }
}

/// Binds on a stream and works on it to its end.
pub(super) async fn serve<S>(
    parts: &LinkParts,
    stream: S,
    orders: &mut mpsc::Receiver<Order>,
    bound: &watch::Sender<bool>,
) -> Result<(), SessionError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let enquire_link = parts.settings.enquire_link;
    let session =
        Session::bind(stream, bind(parts), enquire_link, parts.deliveries.clone()).await?;
    tracing::info!(link = %parts.settings.name, "bound to the message centre");
    bound.send_replace(true);
    let ended = session.run(orders, &parts.stop).await;
    bound.send_replace(false);
    ended
}

fn bind(parts: &LinkParts) -> BindTransceiver {
    let password = parts.password.as_ref().map(|password| password.reveal().to_owned());
    BindTransceiver::builder()
        .system_id(text(parts.settings.system_id.clone()))
        .password(text(password.unwrap_or_default()))
        .system_type(text(parts.settings.system_type.clone()))
        .interface_version(InterfaceVersion::Smpp3_4)
        .build()
}

/// The lengths were checked where the texts came from; an over-long one would be left out.
fn text<const MOST: usize>(text: String) -> COctetString<1, MOST> {
    COctetString::from_string(text).unwrap_or_else(|_| COctetString::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_window_of_throttled_answers_slows_down_once_and_successes_undo_it() {
        let now = Instant::now();
        let zero = Duration::ZERO;
        let mut pace = Pace { interval: zero, next: now, throttle: zero, rests_until: now };
        for _ in 0..10 {
            pace.throttled(now);
        }
        assert_eq!(pace.rests_until, now + FIRST_THROTTLE);
        let later = now + FIRST_THROTTLE;
        pace.throttled(later);
        assert_eq!(pace.rests_until, later + FIRST_THROTTLE * 2);
        pace.taken();
        pace.taken();
        assert_eq!(pace.throttle, zero);
    }

    #[tokio::test(start_paused = true)]
    async fn moments_are_an_interval_apart() {
        let now = Instant::now();
        let interval = Duration::from_millis(20);
        let mut pace = Pace { interval, next: now, throttle: Duration::ZERO, rests_until: now };
        let moments = [pace.take(now), pace.take(now), pace.take(now)];
        assert_eq!(moments, [now, now + interval, now + interval * 2]);
        let later = now + Duration::from_secs(1);
        assert_eq!(pace.take(later), later, "what was not used is not saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_finds_a_place_and_a_moment_before_all_texts_that_wait() {
        let text = "[trunks.n]\ntargets = [\"10.0.0.1\"]\n[smpp.c]\nhost = \"10.0.0.2\"\n\
                    system_id = \"d\"\nthroughput = 1\nwindow = 10\n";
        let config = config::parse(&[config::Source { name: "t", text }]).unwrap().config;
        let (_bound, is_bound) = watch::channel(true);
        let (orders, _waiting) = mpsc::channel(1);
        let link = door(config.smpp.values().next().unwrap(), is_bound, orders);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let link = link.clone();
                tokio::spawn(async move { link.reserve().await })
            })
            .collect();
        // The first has left, and eight wait for moments that are seconds apart.
        tokio::task::yield_now().await;
        let now = Instant::now();
        let codes = [link.try_reserve(), link.try_reserve(), link.try_reserve()];
        let moments = codes.each_ref().map(|slot| slot.as_ref().map(|slot| slot.moment));
        assert_eq!(moments, [Some(now), Some(now), None], "two of ten places are kept");
        drop(codes);
        for slot in waiting {
            drop(slot.await.unwrap());
        }
        // Twenty texts and two codes, one a second.
        assert_eq!(now.elapsed(), Duration::from_secs(21));
    }
}
