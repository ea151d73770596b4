package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.stage.Stage;
import io.moextend.train.Progress;
import io.moextend.train.TrainConfig;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Many steps take no more of anything than a few did. */
@EnabledOnOs(OS.LINUX)
class SoakTest {
  private static final long MIB = 1 << 20;

  /**
   * What a process holds at one moment, in bytes but for the last.
   *
   * @param heap live objects
   * @param other resident memory that is not of the Java heap
   * @param files open file descriptors
   */
  private record Held(long heap, long other, int files) {
    static Held now() {
      long heap = settledHeap();
      try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
        return new Held(heap, otherBytes(), (int) files.count());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** A library that frees in a thread of its own is waited for, while it gets anywhere. */
    private static long settledHeap() {
      long least = Long.MAX_VALUE;
      for (int idle = 0; idle < 5; idle++) {
        System.gc();
        long used = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
        if (used < least - MIB / 8) {
          idle = 0;
        }
        least = Math.min(least, used);
        LockSupport.parkNanos(100_000_000);
      }
      return least;
    }

    /** The Java heap of a few GiB lies below 1 TiB, everything else above. */
    private static long otherBytes() throws IOException {
      long kibibytes = 0;
      boolean above = false;
      for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
        if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
          above = Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16) >= 1L << 40;
        } else if (above && line.startsWith("Rss:")) {
          kibibytes += Long.parseLong(line.replaceAll("\\D", ""));
        }
      }
      return kibibytes << 10;
    }
  }

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "alignment, vision_align, cpu, 200",
    "extension, vision_gate, cpu, 200",
    "finetune, moextend_ft_rand, cpu, 200",
    "finetune, moextend_ft_rand, nd4j, 30"
  })
  void manyStepsTakeNoMoreThanAFew(String stage, String golden, String backend, int steps)
      throws IOException {
    Workspace work = new Workspace(folder).startFrom(golden).configured();
    soak(stage, work.config(), List.of("training.backend=" + backend), steps);
  }

  @Test
  void manyStepsOfAMoiieWhoseTowerLearnsTakeNoMore() throws IOException {
    Bunny bunny = Bunny.in(folder);
    bunny.train("sft", bunny.moiie(bunny.text("phi3")), folder.resolve("out"));
    List<String> settings =
        List.of("model.vision_tower=" + Bunny.TOWER, "training.train=[role:vision_tower]");
    soak("sft", folder.resolve("run.yaml"), settings, 60);
  }

  private static void soak(String stage, Path file, List<String> settings, int steps)
      throws IOException {
    var all = new ArrayList<>(settings);
    all.add("training.max_steps=" + steps);
    TrainConfig config = TrainConfig.read(file, all);
    var held = new ArrayList<Held>();
    IntConsumer look =
        step -> {
          if (step == steps / 2 || step == steps * 3 / 4 || step == steps) {
            held.add(Held.now());
          }
        };
    try (var out = new PrintStream(new StepLines(look), true, StandardCharsets.UTF_8)) {
      new TrainingRun(
              Stage.named(stage), config, RankGroup.alone(() -> false), out, Progress.Display.LINES)
          .run();
    }
    assertThat(held).hasSize(3);
    assertThat(leastGrowth(held, Held::heap)).as("heap, %s", held).isLessThan(MIB / 2);
    assertThat(leastGrowth(held, Held::other)).as("resident, %s", held).isLessThan(16 * MIB);
    assertThat(leastGrowth(held, Held::files)).as("open files, %s", held).isNotPositive();
    List<Long> peaks = peaks(config.checkpoints().outputDir());
    // Experts' rows come in even numbers, so the routing moves a step's memory a little.
    long peak = peaks.get(steps / 2);
    assertThat(peaks.getLast()).as("off-heap peak").isBetween(peak, peak + peak / 100);
  }

  /**
   * A leak grows in every stretch of the run. What other tests left running in this JVM, or a
   * compiler that is done with a method, changes one of them.
   */
  private static long leastGrowth(List<Held> held, ToLongFunction<Held> of) {
    return IntStream.range(1, held.size())
        .mapToLong(i -> of.applyAsLong(held.get(i)) - of.applyAsLong(held.get(i - 1)))
        .min()
        .orElseThrow();
  }

  /** The device's memory of each step. */
  private static List<Long> peaks(Path output) throws IOException {
    var peaks = new ArrayList<Long>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      peaks.add(new JsonMapper().readTree(line).get("memory").longValue());
    }
    return peaks;
  }

  /** Tells the number of each step whose line of progress goes by. */
  private static final class StepLines extends OutputStream {
    private final IntConsumer stepped;
    private final StringBuilder line = new StringBuilder();

    StepLines(IntConsumer stepped) {
      this.stepped = stepped;
    }

    @Override
    public void write(int b) {
      if (b != '\n') {
        line.append((char) b);
        return;
      }
      if (line.toString().matches("step \\d+/.*")) {
        stepped.accept(Integer.parseInt(line.substring("step ".length(), line.indexOf("/"))));
      }
      line.setLength(0);
    }
  }
}
