//! The window: ids of due jobs, one sorted set per queue.

use redis::RedisResult;
use uuid::Uuid;

use super::{POP_WAIT, Window};
use crate::{
    dispatch::Released,
    failpoint::{self, Failpoint},
};

impl Window {
    /// Adds jobs at their places. A job that is already in the window keeps its place.
    pub async fn push(&self, queue: &str, jobs: &[Released]) -> RedisResult<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        failpoint::reach(Failpoint::Released);
        let mut command = redis::cmd("ZADD");
        command.arg(self.key(queue)).arg("NX");
        for job in jobs {
            command.arg(job.place).arg(job.id.as_bytes().as_slice());
        }
        command.query_async(&mut self.shared.clone()).await
    }

    /// Returns the numbers of ids in the windows of these queues.
    pub async fn sizes(&self, queues: &[String]) -> RedisResult<Vec<usize>> {
        let mut commands = redis::pipe();
        for queue in queues {
            commands.cmd("ZCARD").arg(self.key(queue));
        }
        commands.query_async(&mut self.shared.clone()).await
    }

    /// Lists ids in the windows of these queues that stand before a place: nobody has popped them
    /// since.
    pub async fn list_before(&self, queues: &[String], place: i64) -> RedisResult<Vec<Uuid>> {
        let mut commands = redis::pipe();
        for queue in queues {
            commands.cmd("ZRANGEBYSCORE").arg(self.key(queue)).arg("-inf").arg(place).arg("LIMIT").arg(0).arg(5_000);
        }
        let ids: Vec<Vec<Vec<u8>>> = commands.query_async(&mut self.shared.clone()).await?;
        Ok(ids.iter().flatten().filter_map(|id| Uuid::from_slice(id).ok()).collect())
    }

    /// Empties the window of a queue. Returns the number of ids that were in it.
    pub async fn clear(&self, queue: &str) -> RedisResult<usize> {
        let (count, _): (usize, usize) = redis::pipe()
            .atomic()
            .zcard(self.key(queue))
            .del(self.key(queue))
            .query_async(&mut self.shared.clone())
            .await?;
        Ok(count)
    }

    /// Pops up to `count` ids. Waits up to a second for the first.
    pub async fn pop(&self, queue: &str, count: usize) -> RedisResult<Vec<Uuid>> {
        let ids = self.pop_now(queue, count).await?;
        if !ids.is_empty() {
            return Ok(ids);
        }
        let first: Option<(Vec<u8>, Vec<u8>, f64)> = redis::cmd("BZPOPMIN")
            .arg(self.key(queue))
            .arg(POP_WAIT.as_secs_f64())
            .query_async(&mut self.shared.clone())
            .await?;
        let Some((_, id, _)) = first else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<Uuid> = Uuid::from_slice(&id).into_iter().collect();
        if count > 1 {
            ids.extend(self.pop_now(queue, count - 1).await?);
        }
        Ok(ids)
    }

    async fn pop_now(&self, queue: &str, count: usize) -> RedisResult<Vec<Uuid>> {
        let popped: Vec<(Vec<u8>, f64)> =
            redis::cmd("ZPOPMIN").arg(self.key(queue)).arg(count).query_async(&mut self.shared.clone()).await?;
        Ok(popped.iter().filter_map(|(id, _)| Uuid::from_slice(id).ok()).collect())
    }

    fn key(&self, queue: &str) -> String {
        format!("{}window:{queue}", self.prefix)
    }
}
