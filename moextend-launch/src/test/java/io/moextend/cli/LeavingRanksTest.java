package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** SIGTERM: all ranks end at the same step with a checkpoint, and the run goes on later. */
@Timeout(300)
class LeavingRanksTest extends DisturbedRun {
  private static final String LAUNCHER = "launcher";

  @ParameterizedTest
  @ValueSource(strings = {LAUNCHER, "0", "1"})
  void whoeverIsToldToLeaveAllLeaveAfterACheckpointAndGoOnLater(String told) throws Exception {
    // no checkpoint is due before the end: the one that is there is the one made on request
    List<String> settings = saving(0);
    Path output;
    try (RanksRun run = start(settings, "--max-restarts", "2")) {
      run.awaitSteps(3);
      if (told.equals(LAUNCHER)) {
        run.launcher().signal("TERM");
      } else {
        RanksRun.signal(run.rank(Integer.parseInt(told), 0), "TERM");
      }
      assertThat(run.code()).as(run::said).isEqualTo(4);
      assertThat(run.said()).doesNotContain("start again");
      output = run.output();
      run.requireNothingLeft();
    }
    Path left = output.resolve(Files.readString(output.resolve("LATEST")).strip());
    RanksRun.requireSame(undisturbed.resolve(left.getFileName()), left);
    assertThat(Files.readAllLines(output.resolve("metrics.jsonl")))
        .as("steps done")
        .hasSize(Integer.parseInt(left.getFileName().toString().substring("checkpoint-".length())))
        .hasSizeLessThan(STEPS);
    assertThat(output.resolve("model")).doesNotExist();

    try (RanksRun again = start(and("checkpoints.resume_from_checkpoint=auto"))) {
      assertThat(again.code()).as(again::said).isZero();
      RanksRun.requireSame(undisturbed, output, STEPS);
    }
  }
}
