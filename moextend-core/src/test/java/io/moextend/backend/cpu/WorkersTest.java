package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class WorkersTest {
  private final CpuMemory memory = new CpuMemory();
  private final OneDnn library = new OneDnn(LibraryFolder.library());

  @BeforeAll
  void theLibraryIsThere() {
    assertThat(LibraryFolder.missing()).isEmpty();
  }

  @AfterAll
  void close() {
    library.close();
    memory.close();
  }

  private Workers workers(int threads) {
    return new Workers(threads, i -> new Lane(i, memory, library));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void everyTaskRunsOnceWhateverTheNumberOfThreads(int threads) {
    try (Workers workers = workers(threads)) {
      for (int job = 0; job < 300; job++) {
        int tasks = job % 17;
        var ran = new AtomicIntegerArray(tasks);
        workers.run(tasks, (lane, i) -> ran.incrementAndGet(i));
        assertThat(IntStream.range(0, tasks).map(ran::get)).allMatch(n -> n == 1);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void aTasksFailureReachesTheCallerAndThePoolGoesOn(int threads) {
    try (Workers workers = workers(threads)) {
      for (int i = 0; i < 50; i++) {
        assertThatThrownBy(
                () ->
                    workers.run(
                        8,
                        (lane, task) -> {
                          if (task == 5) {
                            throw new IllegalArgumentException("task 5");
                          }
                        }))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("task 5");
        var ran = new AtomicIntegerArray(4);
        workers.run(4, (lane, task) -> ran.incrementAndGet(task));
        assertThat(ran.toString()).isEqualTo("[1, 1, 1, 1]");
      }
    }
  }

  @Test
  void aJobWithinATaskIsRefusedRatherThanDeadlocked() {
    try (Workers workers = workers(1)) {
      assertThatThrownBy(() -> workers.run(1, (lane, i) -> workers.run(1, (inner, j) -> {})))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("do not nest");
    }
  }

  @Test
  void callersFromSeveralThreadsTakeTurns() throws Exception {
    try (Workers workers = workers(3);
        var callers = Executors.newFixedThreadPool(4)) {
      Callable<Long> call =
          () -> {
            var seen = new long[64];
            for (int job = 0; job < 100; job++) {
              workers.run(64, (lane, i) -> seen[i]++);
            }
            return IntStream.range(0, 64).filter(i -> seen[i] == 100).count();
          };
      for (var done : callers.invokeAll(java.util.Collections.nCopies(4, call))) {
        assertThat(done.get()).isEqualTo(64);
      }
    }
  }

  @Test
  void closingEndsTheThreadsAndFurtherJobsAreRefused() {
    Workers workers = workers(4);
    var threads = new Thread[1000];
    workers.run(1000, (lane, i) -> threads[i] = Thread.currentThread());
    workers.close();
    workers.close();
    for (Thread thread : threads) {
      assertThat(thread == Thread.currentThread() || !thread.isAlive()).isTrue();
    }
    assertThatThrownBy(() -> workers.run(1, (lane, i) -> {}))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void theCallersOwnOpenMpSettingIsLeftAsItWas() {
    library.setThreads(3);
    try (Workers workers = workers(2)) {
      workers.run(4, (lane, i) -> assertThat(library.threads()).isEqualTo(1));
    } finally {
      assertThat(library.threads()).isEqualTo(3);
      library.setThreads(1);
    }
  }
}
