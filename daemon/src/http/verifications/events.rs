//! `GET /v1/verifications/{id}/events`: server-sent events, one for each stored change.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::view::VerificationView;
use crate::accounts::Scope;
use crate::app::App;
use crate::http::caller::Caller;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::http::query::{Parameters, PathId};
use crate::ids::VerificationId;
use crate::store::{StoreError, VersionWatch, Who};
use crate::verification::model::{Verification, VerificationStatus};
use crate::verification::service;

/// Silence after which a comment is sent, so that no proxy takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events that a slow reader may leave unread; later versions contain earlier ones, so it is
/// only made to wait.
const UNREAD_LIMIT: usize = 4;

/// Follow a verification: an event `verification` with its representation now, at each stored
/// change, and for the last time when it ends.
#[utoipa::path(
    get, path = "/v1/verifications/{id}/events", tag = "verifications", params(("id" = String, Path)),
    responses(
        (status = 200, body = VerificationView, content_type = "text/event-stream"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn events(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<VerificationId>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Operator])?;
    parameters.finish()?;
    let who = caller.who();
    // Subscribed before it is read, so that no change falls between the two.
    let versions = app.store().watch(id);
    let first = service::get(&app, &who, id).await?;
    let first = first.ok_or_else(|| Problem::new(Code::NotFound))?;
    let (events, stream) = mpsc::channel(UNREAD_LIMIT);
    let follower = Follower { app: app.clone(), who, full: caller.sees_numbers(), events };
    app.spawn(follower.run(id, first, versions));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::new(EventBody(stream))).into_response())
}

/// Writes the events of one reader.
struct Follower {
    app: App,
    who: Who,
    full: bool,
    events: mpsc::Sender<Bytes>,
}

impl Follower {
    async fn run(self, id: VerificationId, first: Verification, versions: VersionWatch) {
        if let Err(error) = self.follow(id, first, versions).await {
            tracing::debug!(%error, "an event stream ended early");
        }
    }

    async fn follow(
        &self,
        id: VerificationId,
        first: Verification,
        mut versions: VersionWatch,
    ) -> Result<(), StoreError> {
        let mut shown = first.version;
        let mut ended = first.status != VerificationStatus::Pending;
        let mut open = self.send(self.event(&first)).await;
        while open && !ended {
            tokio::select! {
                () = versions.above(shown) => {
                    let Some(present) = service::get(&self.app, &self.who, id).await? else {
                        return Ok(());
                    };
                    shown = present.version;
                    ended = present.status != VerificationStatus::Pending;
                    open = self.send(self.event(&present)).await;
                }
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    open = self.send(Bytes::from_static(b": still here\n\n")).await;
                }
                () = self.events.closed() => return Ok(()),
                () = self.app.stop().cancelled() => return Ok(()),
            }
        }
        Ok(())
    }

    /// False: nobody reads any more.
    async fn send(&self, event: Bytes) -> bool {
        self.events.send(event).await.is_ok()
    }

    fn event(&self, verification: &Verification) -> Bytes {
        let view = VerificationView::new(verification, self.full);
        let data = serde_json::to_string(&view).expect("views hold only texts and numbers");
        format!("event: verification\nid: {}\ndata: {data}\n\n", verification.version).into()
    }
}

/// A body that ends when the follower does.
struct EventBody(mpsc::Receiver<Bytes>);

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
