package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.data.Batch;
import io.moextend.demo.DemoData;
import io.moextend.eval.AnswerAccuracy;
import io.moextend.eval.AnswerAccuracy.Answer;
import io.moextend.eval.Perplexity;
import io.moextend.model.CausalLoss;
import io.moextend.model.OpenModel;
import io.moextend.text.Tokenizer;
import io.moextend.train.DecoderObjective;
import io.moextend.train.ModelFiles;
import io.moextend.train.ModelSection;
import io.moextend.train.RunData;
import io.moextend.train.TrainConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Asks a model about pictures and texts it was not trained on. */
final class DemoExamination {
  private static final int ROWS = 48;

  private final DemoSettings settings;
  private final DemoStages stages;
  private final DemoData data;
  private final Backend backend;

  /**
   * What one model reached.
   *
   * @param name of the model
   * @param pictures one answer for each question about an unseen picture
   * @param texts one answer for each question of the held-out dialogues
   * @param text over the held-out dialogues' answers and the held-out sentences
   */
  record Marks(String name, List<Answer> pictures, List<Answer> texts, Perplexity text) {
    Marks {
      pictures = List.copyOf(pictures);
      texts = List.copyOf(texts);
    }

    double pictureAccuracy() {
      return AnswerAccuracy.share(pictures);
    }

    double textAccuracy() {
      return AnswerAccuracy.share(texts);
    }
  }

  DemoExamination(DemoSettings settings, DemoStages stages, DemoData data, Backend backend) {
    this.settings = settings;
    this.stages = stages;
    this.data = data;
    this.backend = backend;
  }

  /**
   * @param tower of a base that has none yet; its connector then starts fresh, as alignment's does
   */
  Marks examine(String name, Path base, @Nullable Path tower) {
    var section = new ModelSection(base, null, tower, null);
    try (Tokenizer tokenizer = ModelFiles.tokenizer(section)) {
      ModelFiles files = ModelFiles.of(section, tokenizer, settings.seed());
      try (OpenModel model =
          OpenModel.of(
              files.open(),
              files.config().decoder(),
              backend,
              settings.dtype().dtype(),
              Set.of(),
              settings.seed())) {
        return examine(name, section, files, tokenizer, model);
      }
    }
  }

  private Marks examine(
      String name, ModelSection section, ModelFiles files, Tokenizer tokenizer, OpenModel model) {
    var questions = new AnswerAccuracy(backend, model.decoder(), tokenizer);
    var objective =
        new DecoderObjective(
            backend, model.decoder(), new CausalLoss(BalanceForm.PER_LAYER, 0), false, null);
    try (RunData pictures = open(section, files, tokenizer, data.test());
        RunData dialogues = open(section, files, tokenizer, data.heldOutDialogues());
        RunData all =
            open(section, files, tokenizer, data.heldOutDialogues(), data.heldOutStatements())) {
      return new Marks(
          name,
          questions.answers(pictures.training(), ROWS),
          questions.answers(dialogues.training(), ROWS),
          Perplexity.of(objective, all.training().batches(ROWS)));
    }
  }

  /**
   * Hands over the questions about unseen pictures, as the model is asked them.
   *
   * @param model a whole model's folder
   */
  <T> T withPictures(Path model, Function<List<Batch>, T> use) {
    var section = new ModelSection(model, null, null, null);
    try (Tokenizer tokenizer = ModelFiles.tokenizer(section);
        RunData pictures =
            open(
                section,
                ModelFiles.of(section, tokenizer, settings.seed()),
                tokenizer,
                data.test())) {
      return use.apply(pictures.training().batches(ROWS));
    }
  }

  private RunData open(
      ModelSection section, ModelFiles files, Tokenizer tokenizer, Path... samples) {
    TrainConfig config = stages.asking(section, List.of(samples), ROWS);
    return RunData.open(config, files, tokenizer, _ -> {});
  }
}
