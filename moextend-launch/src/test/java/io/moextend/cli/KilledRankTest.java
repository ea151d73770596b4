package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.train.CheckpointStore;
import io.moextend.train.Peers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A rank, or the launcher, that is killed: where its group ends, and with which bytes. */
@Timeout(300)
class KilledRankTest {
  private static final int STEPS = 12;
  private static final List<String> SETTINGS =
      List.of(
          "training.per_device_train_batch_size=1",
          "training.gradient_accumulation_steps=2",
          "training.max_steps=" + STEPS,
          "checkpoints.save_steps=3");

  @TempDir static Path shared;

  private static Workspace work;

  /** With every checkpoint of a run that nobody disturbed. */
  private static Path undisturbed;

  @TempDir Path folder;

  private static List<String> saving(int steps) {
    var settings = new ArrayList<>(SETTINGS);
    settings.add("checkpoints.save_steps=" + steps);
    return settings;
  }

  @BeforeAll
  static void runUndisturbed() throws Exception {
    work = new Workspace(shared).startFrom("moextend_ft_rand").configured();
    undisturbed = work.output();
    try (RanksRun run = RanksRun.start(work, undisturbed, options(0), saving(1))) {
      assertThat(run.code()).as(run::said).isZero();
    }
  }

  private static List<String> options(int restarts) {
    return List.of(
        "--nproc-per-node",
        "2",
        "--max-restarts",
        String.valueOf(restarts),
        "--grace",
        "10",
        "--patience",
        "20");
  }

  private RanksRun start(int restarts, List<String> settings) throws IOException {
    return RanksRun.start(work, folder.resolve("out"), options(restarts), settings);
  }

  private static void requireUndisturbed(RanksRun run) throws Exception {
    assertThat(run.code()).as(run::said).isZero();
    RanksRun.requireSame(undisturbed, run.output(), STEPS);
    run.requireNothingLeft();
  }

  private static void requireNamed(RanksRun run, int rank, ProcessHandle killed)
      throws InterruptedException {
    run.launcher()
        .await(
            "moextend: rank %d (pid %d, node 0) was killed by signal 9"
                .formatted(rank, killed.pid()));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aRankKilledInTheMiddleOfTheRunIsNamedAndAllGoOnFromTheLastCheckpoint(int rank)
      throws Exception {
    try (RanksRun run = start(1, SETTINGS)) {
      run.awaitSteps(5);
      ProcessHandle killed = run.rank(rank, 0);
      killed.destroyForcibly();
      requireNamed(run, rank, killed);
      run.launcher().await("all ranks start again: generation 1, restart 1 of 1");
      requireUndisturbed(run);
    }
  }

  @Test
  void aRankKilledWhileItWaitsForAnotherIsNamedAndTheOtherIsNot() throws Exception {
    try (RanksRun run = start(1, SETTINGS)) {
      run.awaitSteps(4);
      RanksRun.signal(run.rank(0, 0), "STOP");
      run.launcher().await("rank 1 has waited", "for rank 0");
      ProcessHandle killed = run.rank(1, 0);
      killed.destroyForcibly();
      requireNamed(run, 1, killed);
      RanksRun.signal(run.rank(0, 0), "CONT");
      requireUndisturbed(run);
      assertThat(run.said()).doesNotContainPattern("rank 0 \\(pid \\d+, node 0\\) was killed");
    }
  }

  @Test
  void withoutRestartsTheRunEndsWithTheSignalAndLeavesNothing() throws Exception {
    try (RanksRun run = start(0, SETTINGS)) {
      run.awaitSteps(4);
      ProcessHandle killed = run.rank(1, 0);
      killed.destroyForcibly();
      requireNamed(run, 1, killed);
      assertThat(run.code()).as(run::said).isEqualTo(128 + 9);
      run.requireNothingLeft();
      requireWholeCheckpoints(run.output());
    }
  }

  /** Stops a rank while a checkpoint is being written, and kills it there. */
  private static void killWhileSaving(RanksRun run, int rank, int generation) throws Exception {
    ProcessHandle victim = run.rank(rank, generation);
    while (true) {
      run.await("a save", () -> beingWritten(run.output()));
      RanksRun.signal(victim, "STOP");
      if (beingWritten(run.output())) {
        break;
      }
      RanksRun.signal(victim, "CONT");
    }
    run.remember();
    requireWholeCheckpoints(run.output());
    victim.destroyForcibly();
    requireNamed(run, rank, victim);
  }

  private static boolean beingWritten(Path output) {
    try (Stream<Path> files = Files.list(output)) {
      return files.anyMatch(f -> f.toString().matches(".*checkpoint-\\d+\\.incomplete"));
    } catch (IOException e) {
      return false; // not made yet
    }
  }

  /** What a run would go on from has the bytes that the undisturbed run had there. */
  private static void requireWholeCheckpoints(Path output) throws IOException {
    var store = new CheckpointStore(output, null, List.of(), Peers.NONE);
    for (Path whole : store.whole()) {
      RanksRun.requireSame(undisturbed.resolve(whole.getFileName()), whole);
    }
    if (Files.exists(output.resolve("LATEST"))) {
      Path latest = output.resolve(Files.readString(output.resolve("LATEST")).strip());
      assertThat(store.whole()).contains(latest);
      assertThat(store.find("auto")).contains(store.whole().getLast());
    }
  }

  @Test
  void ranksKilledInTheMiddleOfASaveLeaveNoHalfCheckpointToGoOnFrom() throws Exception {
    try (RanksRun run = start(2, saving(1))) {
      killWhileSaving(run, 0, 0);
      run.launcher().await("generation 1, restart 1 of 2");
      killWhileSaving(run, 1, 1);
      run.launcher().await("generation 2, restart 2 of 2");
      requireUndisturbed(run);
      assertThat(beingWritten(run.output())).isFalse();
    }
  }

  @Test
  void ranksKilledWhileTheyResumeStartAgain() throws Exception {
    try (RanksRun run = start(3, SETTINGS)) {
      run.awaitSteps(4);
      run.rank(1, 0).destroyForcibly();
      // just begun, then a second later: before and after it has joined the others
      run.rank(0, 1).destroyForcibly();
      run.launcher().await("generation 2, restart 2 of 3");
      ProcessHandle later = run.rank(1, 2);
      Thread.sleep(1200);
      later.destroyForcibly();
      requireNamed(run, 1, later);
      run.launcher().await("generation 3, restart 3 of 3");
      requireUndisturbed(run);
    }
  }

  @Test
  void ranksEndByThemselvesWhenTheLauncherIsKilled() throws Exception {
    try (RanksRun run = start(1, SETTINGS)) {
      run.awaitSteps(3);
      ProcessHandle zero = run.rank(0, 0);
      ProcessHandle one = run.rank(1, 0);
      run.launcher().signal("KILL");
      assertThat(zero.onExit()).succeedsWithin(Duration.ofSeconds(20));
      assertThat(one.onExit()).succeedsWithin(Duration.ofSeconds(20));
      run.requireNothingLeft();
      requireWholeCheckpoints(run.output());
    }
  }
}
