package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.train.CheckpointStore;
import io.moextend.train.Peers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** A run of two ranks, once as nobody disturbs it, for tests that disturb it. */
abstract class DisturbedRun {
  static final int STEPS = 12;
  static final List<String> SETTINGS =
      List.of(
          "training.per_device_train_batch_size=1",
          "training.gradient_accumulation_steps=2",
          "training.max_steps=" + STEPS,
          "checkpoints.save_steps=3");

  @TempDir static Path shared;

  static Workspace work;

  /** With every checkpoint of a run that nobody disturbed. */
  static Path undisturbed;

  @TempDir Path folder;

  @BeforeAll
  static void runUndisturbed() throws Exception {
    work = new Workspace(shared).startFrom("moextend_ft_rand").configured();
    undisturbed = work.output();
    try (RanksRun run = RanksRun.start(work, undisturbed, twoRanks(), saving(1))) {
      assertThat(run.code()).as(run::said).isZero();
    }
  }

  static List<String> twoRanks() {
    return List.of("--nproc-per-node", "2");
  }

  /** The run with a checkpoint after every so many steps. */
  static List<String> saving(int steps) {
    return and("checkpoints.save_steps=" + steps);
  }

  static List<String> and(String... more) {
    var settings = new ArrayList<>(SETTINGS);
    settings.addAll(List.of(more));
    return settings;
  }

  /**
   * @param options of the launcher, after --nproc-per-node 2
   */
  RanksRun start(List<String> settings, String... options) throws IOException {
    var words = new ArrayList<>(twoRanks());
    words.addAll(List.of(options));
    return RanksRun.start(work, folder.resolve("out"), words, settings);
  }

  /** It ends well, with the same bytes, and leaves nothing but its folder. */
  static void requireUndisturbed(RanksRun run) throws Exception {
    assertThat(run.code()).as(run::said).isZero();
    RanksRun.requireSame(undisturbed, run.output(), STEPS);
    assertThat(RanksRun.losses(run.output())).isEqualTo(RanksRun.losses(undisturbed));
    run.requireNothingLeft();
  }

  /** What a run would go on from has the bytes that the undisturbed run had there. */
  static void requireWholeCheckpoints(Path output) throws IOException {
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
}
