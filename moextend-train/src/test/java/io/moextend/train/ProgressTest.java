package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.train.Progress.Display;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProgressTest {
  private static String shown(Display display, int loggingSteps) {
    var bytes = new ByteArrayOutputStream();
    var out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    var progress = new Progress(out, display, 130, loggingSteps);
    progress.started(3);
    for (int step = 4; step <= 10; step++) {
      var losses = new Losses(2.5, 2.4, 1, 1000, 8, true);
      progress.stepped(
          new StepReport(
              step, losses, 0.75, 1e-3, 2, 8L * step, step == 10 ? 1 : 0, List.of(0L), null));
    }
    progress.saved(10, Path.of("out/checkpoint-10"));
    progress.ended();
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Test
  void quietIsQuiet() {
    assertThat(shown(Display.QUIET, 1)).isEmpty();
  }

  @Test
  void aFileGetsALineEverySoManySteps() {
    assertThat(shown(Display.LINES, 5).lines())
        .containsExactly(
            "going on after step 3",
            "step 5/130  loss 2.5000  grad norm 0.750  rate 1.00e-03  500 tokens/s  4:10 left",
            "step 10/130  loss 2.5000  grad norm 0.750  rate 1.00e-03  500 tokens/s  4:00 left"
                + "  (1 batches had nothing to train)",
            "step 10: saved out/checkpoint-10");
  }

  @Test
  void aTerminalsLineIsWrittenOverAndEndedBeforeANote() {
    String text = shown(Display.TERMINAL, 5);
    assertThat(text).contains("\rstep 4/130", "\rstep 10/130");
    assertThat(text.lines().count()).isLessThanOrEqualTo(10);
    assertThat(text).endsWith(String.format("%nstep 10: saved out/checkpoint-10%n"));
  }
}
