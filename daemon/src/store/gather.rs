//! Single rows that are asked for at the same time are read together.
//!
//! Five hundred clients that ask at once would each wait for one of a few connections; gathered,
//! they cost two or three reads, and whoever asks for the same row shares it. A read begins after
//! all its questions were asked, so nobody is answered with what was older than the question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::StoreError;
use crate::store::reader::READ_DEADLINE;

/// Reads under way at once: fewer than there are connections, so that lists have some as well.
const AT_ONCE: usize = 3;
/// Rows of one read.
const BATCH: usize = 256;
/// Questions that may wait; above it they are refused as `Busy`.
const WAITING: usize = 8_192;

type Answer<V> = Result<Option<V>, StoreError>;

struct Question<K, V> {
    key: K,
    answer: oneshot::Sender<Answer<V>>,
}

/// The way to one kind of row.
#[derive(Debug)]
pub(crate) struct Gather<K, V> {
    questions: mpsc::Sender<Question<K, V>>,
}

impl<K, V> Gather<K, V>
where
    K: Clone + Ord + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// `read` gives the rows of distinct keys, as far as they are there. Ends with `closing`.
    pub(crate) fn start<R, F>(tasks: &TaskTracker, closing: CancellationToken, read: R) -> Self
    where
        R: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<(K, V)>, StoreError>> + Send + 'static,
    {
        let (questions, waiting) = mpsc::channel(WAITING);
        tasks.spawn(run(tasks.clone(), closing, waiting, read));
        Self { questions }
    }

    /// One row as it is after this call began; `None`: it is not there.
    pub(crate) async fn get(&self, key: K) -> Answer<V> {
        let (answer, answered) = oneshot::channel();
        self.questions.try_send(Question { key, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        match tokio::time::timeout(READ_DEADLINE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Unavailable),
        }
    }
}

async fn run<K, V, R, F>(
    tasks: TaskTracker,
    closing: CancellationToken,
    mut waiting: mpsc::Receiver<Question<K, V>>,
    read: R,
) where
    K: Clone + Ord + Send + Sync + 'static,
    V: Clone + Send + 'static,
    R: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Vec<(K, V)>, StoreError>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // First the place, then the questions: all that come while the places are taken share the
        // next read.
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let mut questions = Vec::new();
        let count = tokio::select! {
            biased;
            () = closing.cancelled() => break,
            count = waiting.recv_many(&mut questions, BATCH) => count,
        };
        if count == 0 {
            break;
        }
        let read = read.clone();
        tasks.spawn(async move {
            answer(questions, read).await;
            drop(place);
        });
    }
}

async fn answer<K, V, R, F>(mut questions: Vec<Question<K, V>>, read: R)
where
    K: Clone + Ord,
    V: Clone,
    R: Fn(Vec<K>) -> F,
    F: Future<Output = Result<Vec<(K, V)>, StoreError>>,
{
    // Whoever stopped waiting needs no answer.
    questions.retain(|question| !question.answer.is_closed());
    let keys: BTreeSet<K> = questions.iter().map(|question| question.key.clone()).collect();
    if keys.is_empty() {
        return;
    }
    let several = keys.len() > 1;
    match read(keys.iter().cloned().collect()).await {
        Ok(rows) => {
            let rows: BTreeMap<K, V> = rows.into_iter().collect();
            for Question { key, answer } in questions {
                // Its owner may have stopped waiting by now.
                let _ = answer.send(Ok(rows.get(&key).cloned()));
            }
        }
        // One row that cannot be read is not the others' fault.
        Err(StoreError::Damaged { .. }) if several => {
            let mut answers = BTreeMap::new();
            for key in keys {
                let alone = read(vec![key.clone()]).await;
                answers.insert(key, alone.map(|rows| rows.into_iter().next().map(|(_, row)| row)));
            }
            for Question { key, answer } in questions {
                let own = answers.get(&key).cloned().unwrap_or(Ok(None));
                let _ = answer.send(own);
            }
        }
        Err(error) => {
            for question in questions {
                let _ = question.answer.send(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Reads = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Even keys have a row; 13 is damaged. Each read takes a turn of the clock.
    fn gather(closing: &CancellationToken) -> (Gather<u32, String>, Reads) {
        let reads = Reads::default();
        let record = reads.clone();
        let read = move |keys: Vec<u32>| {
            record.lock().unwrap().push(keys.clone());
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                if keys.contains(&13) {
                    return Err(StoreError::Damaged { table: "t", column: "c" });
                }
                let even = keys.into_iter().filter(|key| key % 2 == 0);
                Ok(even.map(|key| (key, format!("row {key}"))).collect())
            }
        };
        (Gather::start(&TaskTracker::new(), closing.clone(), read), reads)
    }

    async fn ask(gather: Arc<Gather<u32, String>>, keys: Vec<u32>) -> Vec<(u32, Answer<String>)> {
        let mut tasks = tokio::task::JoinSet::new();
        for key in keys {
            let gather = gather.clone();
            tasks.spawn(async move { (key, gather.get(key).await) });
        }
        tasks.join_all().await
    }

    #[tokio::test(start_paused = true)]
    async fn five_hundred_who_ask_at_once_share_a_few_reads() {
        let (gather, reads) = gather(&CancellationToken::new());
        let answers = ask(gather.into(), (0..500).map(|n| n % 7).collect()).await;
        assert_eq!(answers.len(), 500);
        for (key, answer) in answers {
            assert_eq!(answer, Ok((key % 2 == 0).then(|| format!("row {key}"))));
        }
        let reads = reads.lock().unwrap();
        assert!(reads.len() <= AT_ONCE + 2, "{} reads", reads.len());
        assert!(reads.iter().all(|keys| keys.len() <= 7), "a key was read twice at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_damaged_row_fails_nobody_but_who_asked_for_it() {
        let (gather, _) = gather(&CancellationToken::new());
        for (key, answer) in ask(gather.into(), vec![2, 13, 4, 5]).await {
            match key {
                13 => assert!(matches!(answer, Err(StoreError::Damaged { .. }))),
                5 => assert_eq!(answer, Ok(None)),
                even => assert_eq!(answer, Ok(Some(format!("row {even}")))),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_begins_after_its_questions() {
        let (gather, reads) = gather(&CancellationToken::new());
        let gather = Arc::new(gather);
        ask(gather.clone(), vec![2]).await;
        ask(gather, vec![2]).await;
        assert_eq!(reads.lock().unwrap().len(), 2, "an old read answered a new question");
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_end_the_answer_is_closed() {
        let closing = CancellationToken::new();
        let (gather, _) = gather(&closing);
        closing.cancel();
        tokio::task::yield_now().await;
        assert_eq!(gather.get(2).await, Err(StoreError::Closed));
    }
}
