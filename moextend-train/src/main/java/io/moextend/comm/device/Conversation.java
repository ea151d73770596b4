package io.moextend.comm.device;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * All that a rank says to the others, in one order, from one thread of its own, while the rank's
 * main thread computes; what the main thread has to wait for anyway it says itself. Only the main
 * thread calls this.
 *
 * <p>What was said wrongly cannot be taken back: after the first failure nothing more is said, and
 * every wait for what was not done yet and every new call throws that failure.
 */
public final class Conversation implements AutoCloseable {
  private final DeviceWire wire;
  private final Object monitor = new Object();
  private final Queue<Ticket> queue = new ArrayDeque<>();
  private final Thread speaker;
  private @Nullable Ticket speaking;
  private @Nullable Throwable failure;
  private boolean closed;
  private long spokenNanos;
  private long waitedNanos;
  private long lateNanos;
  private @Nullable Runnable owed;

  /**
   * @param wire closed with this
   */
  @MustBeClosed
  public Conversation(DeviceWire wire) {
    this.wire = wire;
    this.speaker =
        Thread.ofPlatform()
            .daemon()
            .name("moextend-conversation-" + wire.rank())
            .unstarted(this::speak);
    speaker.start();
  }

  public int rank() {
    return wire.rank();
  }

  public int world() {
    return wire.world();
  }

  /** A call that will be made, or was. */
  public final class Ticket {
    private final String what;
    private final Runnable call;
    private boolean done;
    private long allHere; // the moment when all ranks had come to the call

    private Ticket(String what, Runnable call) {
      this.what = what;
      this.call = call;
    }

    /** Returns when the call has been made; throws what it threw, or what made it impossible. */
    public void await() {
      synchronized (monitor) {
        long start = System.nanoTime();
        while (!done && failure == null && !closed) {
          pause(what);
        }
        waitedNanos += System.nanoTime() - (done ? Math.max(start, allHere) : start);
        if (!done) {
          throw failed();
        }
      }
    }
  }

  /**
   * Has a collective call made after those before it.
   *
   * @param what says in messages what it is for
   */
  public Ticket submit(String what, Runnable call) {
    return submit(new Ticket(what, call));
  }

  private Ticket submit(Ticket ticket) {
    synchronized (monitor) {
      if (failure != null) {
        throw failed();
      }
      if (closed) {
        throw new IllegalStateException(ticket.what + " after the conversation was closed");
      }
      queue.add(ticket);
      monitor.notifyAll();
      return ticket;
    }
  }

  /** {@link DeviceWire#allReduce}, some time. */
  public Ticket allReduce(String what, DeviceWire.Flat flat, long from, long to) {
    return submit(what, () -> wire.allReduce(what, flat, from, to));
  }

  /** {@link DeviceWire#reduceScatter}, some time. */
  public Ticket reduceScatter(String what, DeviceWire.Flat flat, long from, long to) {
    return submit(what, () -> wire.reduceScatter(what, flat, from, to));
  }

  /** {@link DeviceWire#allGather}, some time. */
  public Ticket allGather(String what, DeviceWire.Flat flat, long from, long to) {
    return submit(what, () -> wire.allGather(what, flat, from, to));
  }

  /** {@link DeviceWire#flat}, now. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public DeviceWire.Flat flat(String name, DType dtype, long length) {
    return answer("memory for " + name, () -> wire.flat(name, dtype, length));
  }

  /** {@link DeviceWire#gather}, now. */
  public double[][] gather(String what, double... values) {
    return answer(what, () -> wire.gather(what, values));
  }

  /** {@link DeviceWire#peakBytes}. */
  public long peakBytes() {
    quiet();
    return wire.peakBytes();
  }

  /** Returns when every rank has called it. */
  public void barrier(String what) {
    answer(
        what,
        () -> {
          wire.barrier(what);
          return Boolean.TRUE;
        });
  }

  private <T> T answer(String what, Supplier<T> question) {
    settle();
    var answers = new ArrayDeque<T>(1);
    var ticket = new Ticket(what, () -> answers.add(question.get()));
    if (takes(ticket)) {
      long start = System.nanoTime();
      make(ticket);
      synchronized (monitor) {
        waitedNanos += System.nanoTime() - Math.max(start, ticket.allHere);
      }
    } else {
      submit(ticket);
    }
    ticket.await();
    return answers.remove();
  }

  /**
   * Whether the main thread makes the call itself: where nothing else is being said, handing it
   * over and back would only take time.
   */
  private boolean takes(Ticket ticket) {
    synchronized (monitor) {
      boolean free = queue.isEmpty() && speaking == null && failure == null && !closed;
      if (free) {
        speaking = ticket;
      }
      return free;
    }
  }

  /**
   * What this rank still owes the others and has to say before it says anything else: a batch that
   * gave no gradient leaves calls to be made that other ranks made long ago. Run once, before the
   * next {@link #gather}, {@link #flat} or {@link #barrier}; it must not mind to find nothing left.
   */
  public void owe(Runnable rest) {
    owed = rest;
  }

  private void settle() {
    Runnable rest = owed;
    owed = null;
    if (rest != null) {
      rest.run();
    }
  }

  /** Returns when nothing is being said or waits to be, be it because of a failure. */
  public void quiet() {
    synchronized (monitor) {
      while (speaking != null || (failure == null && !queue.isEmpty())) {
        pause("the end of all calls");
      }
    }
  }

  /** Since the last time this was asked. */
  public Exposure exposure() {
    synchronized (monitor) {
      var exposure = new Exposure(spokenNanos / 1e9, waitedNanos / 1e9, lateNanos / 1e9);
      lateNanos = 0;
      spokenNanos = 0;
      waitedNanos = 0;
      return exposure;
    }
  }

  private void speak() {
    Ticket ticket = next();
    while (ticket != null) {
      make(ticket);
      ticket = next();
    }
  }

  private void make(Ticket ticket) {
    Throwable thrown = null;
    long start = System.nanoTime();
    long before = wire.lateNanos();
    try {
      ticket.call.run();
    } catch (Throwable e) { // carried to the main thread, which throws it
      thrown = e;
    }
    synchronized (monitor) {
      long late = wire.lateNanos() - before;
      spokenNanos += System.nanoTime() - start - late;
      lateNanos += late;
      ticket.allHere = start + late;
      ticket.done = thrown == null;
      failure = thrown;
      speaking = null;
      monitor.notifyAll();
    }
  }

  /** Null where there is nothing more to say. */
  private @Nullable Ticket next() {
    synchronized (monitor) {
      while (queue.isEmpty() && !closed && failure == null) {
        pause("the next call");
      }
      speaking = closed || failure != null ? null : queue.remove();
      return speaking;
    }
  }

  private void pause(String what) {
    try {
      monitor.wait();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for " + what, e);
    }
  }

  private RuntimeException failed() {
    if (failure instanceof Error e) {
      throw e;
    }
    if (failure instanceof RuntimeException e) {
      return e;
    }
    return new IllegalStateException("the conversation was closed before all was said", failure);
  }

  /**
   * Says nothing more and waits for the call that is being made, which gives up when its own
   * patience does.
   */
  @Override
  public void close() {
    synchronized (monitor) {
      closed = true;
      queue.clear();
      monitor.notifyAll();
    }
    boolean interrupted = false;
    while (speaker.isAlive()) {
      try {
        speaker.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    wire.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
