package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.FirstTurns;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.Pictures;
import io.moextend.data.PromptEncoder;
import io.moextend.data.SampleFile;
import io.moextend.data.Talk;
import io.moextend.data.image.ImageDecoder;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import io.moextend.train.ModelFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** --data, --image-root, --samples, --tokenizer, --legacy-tokenizer. */
final class TextOptions {
  private static final String TOKENIZER = "tokenizer.json";

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE",
      description = "Samples, JSON or JSON lines, in LLaVA's or MoExtend's format.")
  private Path data = Path.of("");

  @Option(
      names = "--image-root",
      paramLabel = "DIR",
      description = "Folder the samples' image paths start from; default: that of --data.")
  private @Nullable Path imageRoot;

  @Option(
      names = "--samples",
      paramLabel = "N",
      description = "Take the first N samples; default: all.")
  private int samples = Integer.MAX_VALUE;

  @Option(
      names = "--tokenizer",
      paramLabel = "PATH",
      description = "tokenizer.json or its folder; default: the model's folder.")
  private @Nullable Path tokenizer;

  @Option(
      names = "--legacy-tokenizer",
      description =
          "Encode as with \"legacy\": true whatever tokenizer_config.json says: a space before every segment.")
  private boolean legacy;

  /** The data file's name without its folder. */
  String name() {
    Path name = data.getFileName();
    return name == null ? "" : name.toString();
  }

  @MustBeClosed
  SampleFile openSamples() {
    return SampleFile.open(data, KeptTurns.FIRST_ONLY, null);
  }

  @Option(
      names = "--conv-mode",
      paramLabel = "KEY",
      defaultValue = Talk.AUTO,
      description =
          "How the questions are written: instruct, phi3, llama and others of MoIIE's; auto is what the model was published with (default: ${DEFAULT-VALUE}).")
  private String mode = Talk.AUTO;

  private Talk talk(DecoderConfig config) {
    Talk.requireKnown("--conv-mode", mode);
    return Talk.named(mode, config.type());
  }

  /**
   * @param config of the model that the texts are for
   * @param homes model folders, the first that has a tokenizer counts
   */
  @MustBeClosed
  Tokenizer openTokenizer(DecoderConfig config, List<Path> homes) {
    Path path = tokenizer;
    if (path == null) {
      path =
          first(homes, TOKENIZER)
              .orElseThrow(
                  () ->
                      new ConfigException(
                          "%s: has no %s; name one with --tokenizer"
                              .formatted(homes.getFirst(), TOKENIZER)));
    }
    return legacy ? Tokenizer.open(path, SegmentPrefix.LEGACY) : talk(config).open(path);
  }

  /**
   * The texts that routes are counted over.
   *
   * @param homes model folders, the first that has a preprocessor's file counts
   */
  FirstTurns firstTurns(SampleFile file, Tokenizer tokens, DecoderConfig config, List<Path> homes) {
    VisionConfig vision = config.vision();
    PromptEncoder encoder = talk(config).prompts(tokens, vision, config.rope().maxPositions());
    Pictures pictures = vision == null ? null : pictures(vision, homes);
    return FirstTurns.of(file, samples, encoder, pictures, config.vocab());
  }

  private Pictures pictures(VisionConfig vision, List<Path> homes) {
    Path root = imageRoot;
    if (root == null) {
      root = data.toAbsolutePath().getParent();
    }
    return new Pictures(
        new ImageRoot(root == null ? data : root),
        new ImageDecoder(),
        ModelFiles.preprocessing(homes, vision));
  }

  private static Optional<Path> first(List<Path> homes, String name) {
    return homes.stream().map(home -> home.resolve(name)).filter(Files::isRegularFile).findFirst();
  }
}
