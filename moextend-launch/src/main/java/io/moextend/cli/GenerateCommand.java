package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.T5Config;
import io.moextend.config.VisionConfig;
import io.moextend.data.Sample;
import io.moextend.data.Talk;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.eval.AdaptedDecoder;
import io.moextend.eval.AdaptedT5;
import io.moextend.eval.Greedy;
import io.moextend.eval.RankExamination;
import io.moextend.eval.T5Answer;
import io.moextend.model.OpenModel;
import io.moextend.text.EncodedText;
import io.moextend.text.ImageMarkup;
import io.moextend.text.Part;
import io.moextend.text.TextStream;
import io.moextend.text.Tokenizer;
import io.moextend.train.ModelFiles;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Asks a model. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description =
        "Answers one prompt, with images or without, taking the most likely token each time. Words appear as they come; the rates follow on standard error. A T5 is given the prompt as it stands, and answers by its decoder.",
    footer = {
      "",
      "Example:  moextend generate --model runs/moextend/finetune/model --image cat.jpg --prompt 'What animal is this?'",
      "          moextend generate --model models/t5-xl-lm-adapt --adapter runs/mov/molora-10/model --prompt 'Is this a question? Yes or no?'"
    })
final class GenerateCommand implements Callable<Integer> {
  /** Scores and biases grow with the square. */
  private static final int MOST_OF_T5 = 4096;

  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--prompt",
      required = true,
      paramLabel = "TEXT",
      description =
          "The user's turn; <image> marks an image's place, else images come first. Of a T5 the whole input: as in training no end follows it; where the model was trained with one, as Hugging Face's tokenizer adds it, write </s>.")
  private String prompt = "";

  @Option(
      names = "--image",
      paramLabel = "FILE",
      description = "An image; may be given several times.")
  private List<Path> images = List.of();

  @Option(
      names = "--adapter",
      paramLabel = "DIR",
      description =
          "Folder of an adapter that was trained for the model, ours or PEFT's; default: the model alone.")
  private @Nullable Path adapter;

  @Option(
      names = "--tokenizer",
      paramLabel = "DIR",
      description = "Folder of tokenizer.json; default: the model's.")
  private @Nullable Path tokenizer;

  @Option(
      names = "--conv-mode",
      paramLabel = "KEY",
      defaultValue = Talk.AUTO,
      description =
          "How the question is written: instruct ([INST] ... [/INST]), phi3, llama, bunny, plain and others of MoIIE's; auto is what the model was published with (default: ${DEFAULT-VALUE}).")
  private String mode = Talk.AUTO;

  @Option(
      names = "--max-new-tokens",
      defaultValue = "128",
      description = "Longest answer (default: ${DEFAULT-VALUE}).")
  private int most;

  @Override
  public Integer call() {
    if (most < 1) {
      throw new ConfigException("--max-new-tokens", most, "must be at least 1");
    }
    Talk.requireKnown("--conv-mode", mode);
    if (model.config().model() instanceof T5Config config) {
      answer(config);
    } else {
      answer(model.config().decoder());
    }
    return 0;
  }

  private void answer(DecoderConfig config) {
    Talk talk = Talk.named(mode, config.type());
    try (Tokenizer opened = talk.open(tokenizer());
        Backend computes = backend.open();
        OpenModel open =
            AdaptedDecoder.open(model.weights(), config, adapter, computes, backend.dtype())) {
      EncodedText asked = encode(talk, opened, config);
      Greedy.Pictures pictures = pictures(config.vision(), asked);
      var greedy = new Greedy(computes, open.decoder());
      IntPredicate ends = talk.answerEnds(opened, config.tokens());
      show(opened, asked.ids(), seen -> greedy.extend(asked.ids(), pictures, most, ends, seen));
    }
  }

  private void answer(T5Config config) {
    refuseOfT5(List.of("--image", "--conv-mode"));
    requireFew("--max-new-tokens", most);
    try (Tokenizer opened = Tokenizer.open(tokenizer());
        Backend computes = backend.open();
        AdaptedT5 t5 =
            AdaptedT5.open(model.weights(), config, adapter, computes, backend.dtype())) {
      RankExamination.requireFitting(opened, config);
      int[] asked = opened.encode(prompt);
      if (asked.length == 0) {
        throw new ConfigException("--prompt", prompt, "has no tokens; say something");
      }
      requireFew("--prompt, in tokens", asked.length);
      var answer = new T5Answer(computes, t5.model());
      int end = config.tokens().eos();
      show(opened, asked, seen -> answer.to(asked, most, token -> token == end, seen));
    }
  }

  private void refuseOfT5(List<String> options) {
    for (String option : options) {
      if (Commands.typed(spec).hasMatchedOption(option)) {
        throw new ConfigException(option + ": means nothing to a T5; leave it out");
      }
    }
  }

  private static void requireFew(String option, int tokens) {
    if (tokens > MOST_OF_T5) {
      throw new ConfigException(
          option,
          tokens,
          "is too many for a T5, which compares every token with every other; at most "
              + MOST_OF_T5);
    }
  }

  private Path tokenizer() {
    return tokenizer == null ? model.home() : tokenizer;
  }

  /** Words appear as they come, then the rates. */
  private void show(Tokenizer words, int[] asked, Consumer<IntConsumer> answer) {
    PrintWriter out = Commands.out(spec);
    var rates = new AnswerRates(asked.length);
    var text = new TextStream(words, piece -> show(out, piece));
    answer.accept(
        token -> {
          rates.count();
          text.add(token);
        });
    text.end();
    out.println();
    out.flush();
    Commands.err(spec).println(rates);
    Commands.err(spec).flush();
  }

  private static void show(PrintWriter out, String piece) {
    out.print(piece);
    out.flush();
  }

  private EncodedText encode(Talk talk, Tokenizer tokenizer, DecoderConfig config) {
    if (config.vision() == null && !images.isEmpty()) {
      throw new ConfigException("--image", images.getFirst(), "the model has no vision part");
    }
    var asked = new Sample("--prompt", 1, "", List.of(new Sample.Turn(Sample.Role.USER, parts())));
    if (asked.images().size() != images.size()) {
      throw new ConfigException(
          "--image",
          images,
          "the prompt has %d <image> and there are %d images; make them as many"
              .formatted(asked.images().size(), images.size()));
    }
    return talk.prompts(tokenizer, config.vision(), config.rope().maxPositions()).prompt(asked);
  }

  private List<Part> parts() {
    List<String> paths = images.stream().map(Path::toString).toList();
    if (prompt.contains("<image>")) {
      return ImageMarkup.placeholders(prompt, paths.iterator());
    }
    var parts = new ArrayList<Part>();
    paths.forEach(path -> parts.add(new Part.Image(path)));
    parts.add(new Part.Words(paths.isEmpty() ? prompt : "\n" + prompt));
    return parts;
  }

  private Greedy.@Nullable Pictures pictures(@Nullable VisionConfig vision, EncodedText asked) {
    if (vision == null || images.isEmpty()) {
      return null;
    }
    ClipPreprocessing preprocessing = ModelFiles.preprocessing(List.of(model.home()), vision);
    float[] pixels = new float[Math.multiplyExact(preprocessing.length(), images.size())];
    for (int i = 0; i < images.size(); i++) {
      float[] one = preprocessing.pixels(new ImageDecoder().read(images.get(i)));
      System.arraycopy(one, 0, pixels, i * one.length, one.length);
    }
    return new Greedy.Pictures(pixels, asked.imagePositions());
  }
}
