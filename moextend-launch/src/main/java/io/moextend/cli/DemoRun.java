package io.moextend.cli;

import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.demo.DemoData;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.InitReceipt;
import io.moextend.stage.Stage;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The whole chain on a tiny world, from drawing its pictures to what was measured. */
final class DemoRun {
  static final String PRETRAINED = "pretrained";
  static final String EXTENDED = "extended";
  static final String FULL = "full finetuning";

  private final DemoSettings settings;
  private final PrintStream out;
  private final long start = System.nanoTime();
  private final List<DemoResults.Part> parts = new ArrayList<>();
  private final List<Marks> marks = new ArrayList<>();
  private int announced;

  DemoRun(DemoSettings settings, PrintStream out) {
    this.settings = settings;
    this.out = out;
  }

  /** Trains, measures, and writes report.html into the output folder. */
  DemoResults run() {
    Path data = settings.output().resolve("data");
    DemoData world =
        part(
            "drawing the world",
            () -> DemoData.write(data, settings.seed(), settings.plan().sizes()));
    DType dtype = settings.dtype().dtype();
    try (Backend backend =
        Backends.open(
            settings.backend(), new BackendProvider.Options(settings.threads(), 0), dtype)) {
      out.printf("computing on %s (%s), %s%n", backend.name(), backend.device(), dtype);
      DemoResults results = chain(backend, world);
      part(
          "report",
          () -> {
            new DemoReport(settings, results).write(report());
            return report();
          });
      return results;
    }
  }

  /** Whether a model is the end of one of the two ways to learn to see. */
  static boolean isFinetuned(String name) {
    return name.equals(EXTENDED) || name.equals(FULL);
  }

  /** Where the report is. */
  Path report() {
    return settings.output().resolve("report.html");
  }

  private DemoResults chain(Backend backend, DemoData world) {
    DemoPlan plan = settings.plan();
    var stages = new DemoStages(settings, world.root(), out);
    var examination = new DemoExamination(settings, stages, world, backend);
    var extension = new DemoExtension(settings, world, backend);
    Path blank = settings.output().resolve("blank");
    Path tower = settings.output().resolve("tower");
    part(
        "random model and tower",
        () -> {
          random(backend, plan.languageModel(), List.of(world.tokenizer()), blank);
          random(backend, plan.tower(), List.of(preprocessing()), tower);
          return blank;
        });
    List<Path> texts = List.of(world.trainDialogues(), world.trainStatements());
    List<Path> talk = List.of(world.instructions());

    Trained pretrained =
        train(stages, "pretrain", Stage.PRETRAIN_TEXT, blank, null, texts, plan.pretrain());
    examine(examination, PRETRAINED, pretrained.model(), tower);
    Trained aligned =
        train(
            stages,
            "alignment",
            Stage.ALIGNMENT,
            pretrained.model(),
            tower,
            List.of(world.alignment()),
            plan.alignment());
    examine(examination, "aligned", aligned.model(), null);
    Trained extended =
        train(stages, "extension", Stage.EXTENSION, aligned.model(), null, talk, plan.extension());
    examine(examination, "routers tuned", extended.model(), null);

    DemoExtension.Counted counted =
        part("expert-distribution", () -> extension.count(aligned.model(), extended.model()));
    ExtensionPlan chosen = counted.plan();
    chosen.write(settings.output().resolve("extension.json"));
    Path grown = settings.output().resolve("grown");
    InitReceipt receipt =
        part("init-expert", () -> extension.grow(extended.model(), chosen, grown));
    out.printf(
        "layers %s get an expert; largest logit change %s masked, %s unmasked%n",
        chosen.addLayer(), receipt.masked(), receipt.unmasked());
    examine(examination, "grown", grown, null);
    Trained finetuned =
        train(stages, "finetune", Stage.FINETUNE, grown, null, talk, plan.finetune());
    examine(examination, EXTENDED, finetuned.model(), null);
    Trained full = train(stages, "full", Stage.FULL, aligned.model(), null, talk, plan.finetune());
    examine(examination, FULL, full.model(), null);
    return new DemoResults(
        world,
        List.of(pretrained, aligned, extended, finetuned, full),
        marks,
        counted,
        receipt,
        frozen(finetuned, pretrained),
        parts,
        (System.nanoTime() - start) / 1e9,
        backend.name() + ", " + backend.device());
  }

  /** A folder with the tower's preprocessor_config.json, which goes along with its weights. */
  private Path preprocessing() {
    Path folder = settings.output().resolve("preprocessing");
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("preprocessor_config.json"), DemoPlan.preprocessing());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write into " + folder + ": " + e.getMessage(), e);
    }
    return folder;
  }

  private void random(
      Backend backend, HuggingFaceConfig config, List<Path> companions, Path folder) {
    RandomModel.write(
        backend, config, settings.dtype().dtype(), settings.seed(), companions, folder);
  }

  /** Every frozen tensor of the finetuning, and every tensor of the old language model. */
  private static DemoResults.Frozen frozen(Trained finetuned, Trained pretrained) {
    FrozenProof proof = finetuned.proof();
    try (WeightSource now = CheckpointFolder.open(finetuned.model());
        WeightSource then = CheckpointFolder.open(pretrained.model())) {
      FrozenProof old = FrozenProof.of(then);
      return new DemoResults.Frozen(
          proof.tensors().size(),
          proof.verify(now),
          Fingerprint.of(proof).hex(),
          old.tensors().size(),
          old.verify(now));
    }
  }

  private Trained train(
      DemoStages stages,
      String name,
      Stage stage,
      Path base,
      @Nullable Path tower,
      List<Path> files,
      DemoPlan.Steps steps) {
    return part(name, () -> stages.train(name, stage, base, tower, files, steps));
  }

  private void examine(DemoExamination examination, String name, Path model, @Nullable Path tower) {
    Marks reached = part("asking: " + name, () -> examination.examine(name, model, tower));
    marks.add(reached);
    out.printf(
        Locale.ROOT,
        "%s: %.1f %% of picture questions, %.1f %% of text questions, text perplexity %.3f%n",
        name,
        100 * reached.pictureAccuracy(),
        100 * reached.textAccuracy(),
        reached.text().value());
  }

  private <T> T part(String name, Supplier<T> work) {
    announced++;
    long from = System.nanoTime();
    out.printf(Locale.ROOT, "%n[%d, %.0f s] %s%n", announced, (from - start) / 1e9, name);
    T made = work.get();
    parts.add(new DemoResults.Part(name, (System.nanoTime() - from) / 1e9));
    return made;
  }
}
