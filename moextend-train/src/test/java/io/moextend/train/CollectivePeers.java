package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.comm.Collective;
import io.moextend.comm.GatheredNumbers;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/** Peers over a {@link Collective}. One thread at a time. */
public final class CollectivePeers implements Peers, AutoCloseable {
  private final Collective collective;
  private final Consumer<Runnable> onItsThread;
  private final GatheredNumbers numbers;

  /**
   * A collective call itself, as it opens a buffer.
   *
   * @param onItsThread runs a task on the thread that the collective is used from, returns when it
   *     is done, and throws what it threw; {@code Runnable::run} where that is the caller's own
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public CollectivePeers(Collective collective, Consumer<Runnable> onItsThread) {
    this.collective = collective;
    this.onItsThread = onItsThread;
    var opened = new AtomicReference<GatheredNumbers>();
    onItsThread.accept(() -> opened.set(new GatheredNumbers(collective)));
    this.numbers = taken(opened);
  }

  private static <T> T taken(AtomicReference<T> from) {
    T value = from.get();
    if (value == null) {
      throw new IllegalStateException("the task was not run, or its end not waited for");
    }
    return value;
  }

  @Override
  public int rank() {
    return collective.rank();
  }

  @Override
  public int world() {
    return collective.world();
  }

  @Override
  public double[][] gather(String what, double... values) {
    var all = new AtomicReference<double[][]>();
    onItsThread.accept(() -> all.set(numbers.gather(what, values)));
    return taken(all);
  }

  @Override
  public void barrier(String what) {
    onItsThread.accept(() -> collective.barrier(what));
  }

  /** Frees this rank's buffer; the collective stays open. */
  @Override
  public void close() {
    onItsThread.accept(numbers::close);
  }
}
