package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.config.ConfigException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the model learns from.
 *
 * @param trainFiles JSON or JSON lines, read in this order as one set
 * @param imageRoot folder that image paths are relative to and may not leave; null = no images, or
 *     the folder of each file
 * @param format how samples are written
 * @param maxLength tokens of a sample, images counted
 * @param overLength what happens to a longer sample
 * @param firstTurnOnly true drops all but the first question and answer, as the published
 *     preparation did
 * @param dataloaderNumWorkers threads that prepare batches ahead
 * @param padToMax true pads every row to maxLength as the published collator did, false to the
 *     batch's longest
 * @param evalSplit share of the samples kept for evaluation, 0 to 1
 * @param evalFiles samples to evaluate on instead
 * @param featureCache folder for the frozen tower's image features; null = computed every time
 * @param exifOrientation true turns photographs as their camera was held; Hugging Face does not
 * @param maxImagePixels images with more pixels are refused
 */
public record DataSection(
    List<Path> trainFiles,
    @Nullable Path imageRoot,
    Format format,
    int maxLength,
    OverLength overLength,
    boolean firstTurnOnly,
    int dataloaderNumWorkers,
    boolean padToMax,
    double evalSplit,
    List<Path> evalFiles,
    @Nullable Path featureCache,
    boolean exifOrientation,
    long maxImagePixels) {
  /** How samples are written. */
  public enum Format {
    /** Told from the first sample of each file. */
    @JsonProperty("auto")
    AUTO,
    /** LLaVA: {@code "image": "file.jpg"} and {@code <image>} in the text. */
    @JsonProperty("llava")
    LLAVA,
    /** MoExtend: {@code <image>file.jpg</image>} in the text. */
    @JsonProperty("moextend")
    MOEXTEND
  }

  /** What happens to a sample of more than maxLength tokens. */
  public enum OverLength {
    /** The run stops and names it. */
    @JsonProperty("reject")
    REJECT,
    /** It is left out and counted. */
    @JsonProperty("skip")
    SKIP,
    /** Its end is cut off, as published; one that would be cut in an image is left out. */
    @JsonProperty("truncate")
    TRUNCATE
  }

  public DataSection {
    trainFiles = List.copyOf(trainFiles);
    evalFiles = List.copyOf(evalFiles);
    if (trainFiles.isEmpty()) {
      throw new ConfigException("data.train_files", trainFiles, "name at least one file");
    }
    Section.requireAtLeast("data.max_length", maxLength, 2);
    Section.requireAtLeast("data.dataloader_num_workers", dataloaderNumWorkers, 0);
    Section.requireAtLeast("data.max_image_pixels", maxImagePixels, 1);
    Section.requireWithin("data.eval_split", evalSplit, 0, 0.999);
    if (evalSplit > 0 && !evalFiles.isEmpty()) {
      throw new ConfigException(
          "data.eval_split", evalSplit, "there are data.eval_files too; choose one of both");
    }
  }
}
