package io.moextend.backend.cpu;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A fixed set of threads; the caller works as the first of them. One job at a time: callers from
 * several threads take turns. Tasks are handed out in order of their index to whoever is free, so a
 * task's result must not depend on its worker.
 */
final class Workers implements AutoCloseable {
  /** How long an idle worker looks for work before it sleeps. */
  private static final int SPINS = 2000;

  /** One piece of a job. */
  @FunctionalInterface
  interface Task {
    void run(Lane lane, int index);
  }

  private static final class Job {
    final Task task;
    final int count;
    final AtomicInteger next = new AtomicInteger();
    final AtomicInteger done = new AtomicInteger();
    final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    final Thread caller = Thread.currentThread();

    Job(Task task, int count) {
      this.task = task;
      this.count = count;
    }

    /** Takes tasks until none is left. */
    void help(Lane lane) {
      for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
        if (failure.get() == null) {
          try {
            task.run(lane, i);
          } catch (Throwable e) { // carried to the caller, who throws it
            failure.compareAndSet(null, e);
          }
        }
        if (done.incrementAndGet() == count) {
          LockSupport.unpark(caller);
        }
      }
    }
  }

  private final List<Lane> lanes;
  private final List<Thread> threads;
  private final ReentrantLock turn = new ReentrantLock();
  private volatile @Nullable Job job;
  private volatile boolean closed;

  /**
   * @param lanes makes each worker's own state; 0 is the caller's
   */
  Workers(int threads, IntFunction<Lane> lanes) {
    this.lanes = IntStream.range(0, threads).mapToObj(lanes).toList();
    this.threads =
        this.lanes.stream()
            .skip(1)
            .map(
                lane ->
                    Thread.ofPlatform()
                        .daemon()
                        .name("moextend-cpu-" + lane.index())
                        .unstarted(() -> work(lane)))
            .toList();
    this.threads.forEach(Thread::start);
  }

  int count() {
    return lanes.size();
  }

  /**
   * Runs tasks 0 to count - 1; returns when all are done, or throws what the first failure threw.
   */
  void run(int count, Task task) {
    if (count <= 0) {
      return;
    }
    if (turn.isHeldByCurrentThread()) {
      throw new IllegalStateException("a task started a job; jobs do not nest");
    }
    turn.lock();
    Lane lane = lanes.getFirst();
    try {
      if (closed) {
        throw new IllegalStateException("the backend is closed");
      }
      lane.enter();
      try {
        if (count == 1 || threads.isEmpty()) {
          for (int i = 0; i < count; i++) {
            task.run(lane, i);
          }
        } else {
          share(new Job(task, count), lane);
        }
      } finally {
        lane.leave();
      }
    } finally {
      turn.unlock();
    }
  }

  private void share(Job mine, Lane lane) {
    job = mine;
    int helpers = Math.min(threads.size(), mine.count - 1);
    for (int i = 0; i < helpers; i++) {
      LockSupport.unpark(threads.get(i));
    }
    mine.help(lane);
    for (int spins = 0; mine.done.get() < mine.count; spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        LockSupport.park(mine);
      }
    }
    job = null;
    Throwable failure = mine.failure.get();
    if (failure instanceof Error e) {
      throw e;
    }
    if (failure instanceof RuntimeException e) {
      throw e;
    }
  }

  private void work(Lane lane) {
    lane.enter();
    Job last = null;
    int spins = 0;
    while (!closed) {
      Job mine = job;
      if (mine != null && mine != last) {
        mine.help(lane);
        last = mine;
        spins = 0;
      } else if (spins++ < SPINS) {
        Thread.onSpinWait();
      } else {
        last = null; // so that a finished job can be collected
        LockSupport.park(this);
        spins = 0;
      }
    }
  }

  @Override
  public void close() {
    turn.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      for (Thread thread : threads) {
        LockSupport.unpark(thread);
        join(thread);
      }
      lanes.forEach(Lane::close);
    } finally {
      turn.unlock();
    }
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
