package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.config.ConfigException;
import io.moextend.data.OverLength;
import io.moextend.data.Talk;
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
 * @param conversationTemplate how a sample is written as a text: "instruct" (MoExtend's), a
 *     template of MoIIE's, or "auto" for the one that the model was published with
 * @param groupByModalityLength true gives the samples of a step all images or none, and like
 *     lengths
 */
public record DataSection(
    List<Path> trainFiles,
    @Nullable Path imageRoot,
    Format format,
    int maxLength,
    TooLong overLength,
    boolean firstTurnOnly,
    int dataloaderNumWorkers,
    boolean padToMax,
    double evalSplit,
    List<Path> evalFiles,
    @Nullable Path featureCache,
    boolean exifOrientation,
    long maxImagePixels,
    String conversationTemplate,
    boolean groupByModalityLength) {
  /** How samples are written. */
  public enum Format {
    /** LLaVA's or MoExtend's way, told apart sample by sample. */
    @JsonProperty("auto")
    AUTO
  }

  /** What happens to a sample of more than maxLength tokens. */
  public enum TooLong {
    /** It is an error that names the sample. */
    @JsonProperty("reject")
    REJECT(OverLength.REJECT),
    /** It is left out and counted. */
    @JsonProperty("skip")
    SKIP(OverLength.SKIP),
    /**
     * Its end is cut off, as published. A cut inside an image is an error where images are marked,
     * and goes before the image where they are not.
     */
    @JsonProperty("truncate")
    TRUNCATE(OverLength.TRUNCATE);

    private final OverLength policy;

    TooLong(OverLength policy) {
      this.policy = policy;
    }

    /** The same, as the encoder knows it. */
    public OverLength policy() {
      return policy;
    }
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
    Talk.requireKnown("data.conversation_template", conversationTemplate);
    Section.requireWithin("data.eval_split", evalSplit, 0, 0.999);
    if (evalSplit > 0 && !evalFiles.isEmpty()) {
      throw new ConfigException(
          "data.eval_split", evalSplit, "there are data.eval_files too; choose one of both");
    }
  }
}
