package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.ChatTemplate;
import io.moextend.data.Encoder;
import io.moextend.data.OverLength;
import io.moextend.data.Sample;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.eval.Greedy;
import io.moextend.model.OpenModel;
import io.moextend.text.EncodedText;
import io.moextend.text.ImageMarkup;
import io.moextend.text.ImageTokens;
import io.moextend.text.Part;
import io.moextend.text.TextStream;
import io.moextend.text.Tokenizer;
import io.moextend.train.ModelFiles;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
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
        "Answers one prompt, with images or without, taking the most likely token each time. Words appear as they come; the rates follow on standard error.",
    footer = {
      "",
      "Example:  moextend generate --model runs/moextend/finetune/model --image cat.jpg --prompt 'What animal is this?'"
    })
final class GenerateCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--prompt",
      required = true,
      paramLabel = "TEXT",
      description = "The user's turn; <image> marks an image's place, else images come first.")
  private String prompt = "";

  @Option(
      names = "--image",
      paramLabel = "FILE",
      description = "An image; may be given several times.")
  private List<Path> images = List.of();

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
    DecoderConfig config = model.config().decoder();
    PrintWriter out = Commands.out(spec);
    try (Tokenizer tokenizer = Tokenizer.open(model.home());
        Backend opened = backend.open();
        OpenModel open =
            OpenModel.of(model.weights(), config, opened, backend.dtype(), Set.of(), 0)) {
      EncodedText asked = encode(tokenizer, config);
      int turn = tokenizer.added(ChatTemplate.INSTRUCT.beforeUser());
      Greedy.Pictures pictures = pictures(config.vision(), asked.ids());
      var rates = new AnswerRates(asked.ids().length);
      var text = new TextStream(tokenizer, piece -> show(out, piece));
      new Greedy(opened, open.decoder())
          .extend(
              asked.ids(),
              pictures,
              most,
              token -> token == tokenizer.eos() || token == turn || config.tokens().end(token),
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
    return 0;
  }

  /** Words appear as they come. */
  private static void show(PrintWriter out, String piece) {
    out.print(piece);
    out.flush();
  }

  private EncodedText encode(Tokenizer tokenizer, DecoderConfig config) {
    VisionConfig vision = config.vision();
    if (vision == null && !images.isEmpty()) {
      throw new ConfigException("--image", images.getFirst(), "the model has no vision part");
    }
    boolean marked = vision != null && vision.marked();
    if (!marked && !images.isEmpty()) {
      throw new ConfigException(
          "--image",
          images.getFirst(),
          "only models whose images have ids of their own are asked about images here");
    }
    var tokens =
        new ImageTokens(
            tokenizer,
            vision == null || !marked ? tokenizer.vocabularySize() : vision.imageStart(),
            vision == null ? 1 : vision.tokens(),
            ImageTokens.SlotContent.PADS);
    var encoder =
        new Encoder(tokens, ChatTemplate.INSTRUCT, config.rope().maxPositions(), OverLength.REJECT);
    return encoder.prompt(
        new Sample("--prompt", 1, "", List.of(new Sample.Turn(Sample.Role.USER, parts()))));
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

  private Greedy.@Nullable Pictures pictures(@Nullable VisionConfig vision, int[] ids) {
    if (vision == null || images.isEmpty()) {
      return null;
    }
    ClipPreprocessing preprocessing = ModelFiles.preprocessing(List.of(model.home()), vision);
    float[] pixels = new float[Math.multiplyExact(preprocessing.length(), images.size())];
    for (int i = 0; i < images.size(); i++) {
      float[] one = preprocessing.pixels(new ImageDecoder().read(images.get(i)));
      System.arraycopy(one, 0, pixels, i * one.length, one.length);
    }
    return new Greedy.Pictures(pixels, Greedy.slots(ids, vision));
  }
}
