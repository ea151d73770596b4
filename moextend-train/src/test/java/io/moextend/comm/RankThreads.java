package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;

/** Runs every rank of a world on a thread of its own. */
public final class RankThreads {
  /** What a rank does. */
  @FunctionalInterface
  public interface Body {
    void run(Collective collective) throws Exception;
  }

  private RankThreads() {}

  /** Throws what the first failing rank threw. */
  public static void run(Wiring wiring, Path folder, Body body) {
    List<Throwable> failures = failures(wiring, folder, Duration.ofSeconds(30), body);
    for (Throwable failure : failures) {
      if (failure != null) {
        throw new AssertionError(wiring + ": " + failure.getMessage(), failure);
      }
    }
  }

  /** What each rank threw, null where nothing. No rank closes before all have ended. */
  public static List<Throwable> failures(Wiring wiring, Path folder, Duration patience, Body body) {
    return failures(wiring, folder, rank -> new Patience(rank, patience), body);
  }

  static List<Throwable> failures(
      Wiring wiring, Path folder, IntFunction<Vigil> vigils, Body body) {
    int world = wiring.world();
    var failures = new Throwable[world];
    var ended = new CountDownLatch(world);
    var threads = new ArrayList<Thread>();
    try (Wiring.World joined = wiring.maker().make(folder, wiring)) {
      for (int r = 0; r < world; r++) {
        int rank = r;
        threads.add(
            Thread.ofPlatform()
                .daemon()
                .name("rank-" + r)
                .start(() -> failures[rank] = live(joined, rank, vigils, body, ended)));
      }
      for (Thread thread : threads) {
        assertThat(thread.join(Duration.ofSeconds(120))).as(thread + " ends").isTrue();
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    return Arrays.asList(failures);
  }

  private static Throwable live(
      Wiring.World joined, int rank, IntFunction<Vigil> vigils, Body body, CountDownLatch ended) {
    boolean counted = false;
    try (Collective collective = joined.join(rank, vigils.apply(rank))) {
      try {
        body.run(collective);
        return null;
      } finally {
        counted = true;
        ended.countDown();
        ended.await(60, TimeUnit.SECONDS);
      }
    } catch (Throwable e) { // handed to the test
      return e;
    } finally {
      if (!counted) {
        ended.countDown();
      }
    }
  }
}
