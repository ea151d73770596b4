package io.moextend.data.image;

import java.nio.file.Path;
import java.util.List;

/**
 * A picture to the numbers a CLIP, SigLIP or DINOv2 tower reads: resize, crop, rescale, normalise,
 * with the numbers of Hugging Face's processors. Any number of threads may use one.
 *
 * @param padding what is done with a picture that is no square before all else
 * @param size pixels a side of the result
 * @param fit how the picture is brought to that size
 * @param rescale factor of the bytes, 1/255
 * @param mean taken off each channel after rescaling
 * @param deviation each channel is divided by, after that
 */
public record ClipPreprocessing(
    Padding padding, int size, Fit fit, double rescale, List<Double> mean, List<Double> deviation) {
  /** What is done with a picture that is no square: config.json's image_aspect_ratio. */
  public enum Padding {
    NONE,
    /** It is put in the middle of a square of the mean colour: "pad". */
    SQUARE
  }

  /** How a picture becomes a square. */
  public sealed interface Fit {
    /** The shorter side becomes {@code edge}, then the middle is cut out: CLIP. */
    record ShortestEdge(int edge) implements Fit {}

    /** Both sides become the size, whatever the shape: SigLIP. */
    record Stretch() implements Fit {}
  }

  /** What openai/clip-vit-large-patch14-336 and its kin were trained with. */
  public static final List<Double> CLIP_MEAN = List.of(0.48145466, 0.4578275, 0.40821073);

  public static final List<Double> CLIP_DEVIATION = List.of(0.26862954, 0.26130258, 0.27577711);

  /** What SigLIP was trained with, for mean and deviation. */
  public static final List<Double> HALF = List.of(0.5, 0.5, 0.5);

  /** What DINOv2 was trained with: the colours of ImageNet. */
  public static final List<Double> IMAGENET_MEAN = List.of(0.485, 0.456, 0.406);

  public static final List<Double> IMAGENET_DEVIATION = List.of(0.229, 0.224, 0.225);

  /** Larger ones are a mistake: 4096² pixels would be over 85,000 patches. */
  private static final int LARGEST_SIZE = 4096;

  public ClipPreprocessing {
    mean = List.copyOf(mean);
    deviation = List.copyOf(deviation);
    if (size < 1 || size > LARGEST_SIZE) {
      throw new ImageException(
          "crop_size=%d: must be between 1 and %d".formatted(size, LARGEST_SIZE));
    }
    if (fit instanceof Fit.ShortestEdge(int edge) && (edge < size || edge > LARGEST_SIZE)) {
      throw new ImageException(
          "size.shortest_edge=%d: must be between crop_size=%d and %d; smaller ones would need"
                  .formatted(edge, size, LARGEST_SIZE)
              + " padding");
    }
    if (mean.size() != 3 || deviation.size() != 3) {
      throw new ImageException(
          "image_mean has %d and image_std %d numbers; each needs 3, one per channel"
              .formatted(mean.size(), deviation.size()));
    }
    if (deviation.stream().anyMatch(d -> !(d > 0)) || !(rescale > 0)) {
      throw new ImageException(
          "image_std=%s rescale_factor=%s: must be positive".formatted(deviation, rescale));
    }
  }

  /** Pictures are not padded. */
  public ClipPreprocessing(
      int size, Fit fit, double rescale, List<Double> mean, List<Double> deviation) {
    this(Padding.NONE, size, fit, rescale, mean, deviation);
  }

  /** SigLIP's. */
  public static ClipPreprocessing siglip(int size) {
    return new ClipPreprocessing(size, new Fit.Stretch(), 1 / 255.0, HALF, HALF);
  }

  /** DINOv2's, for the size a tower takes. */
  public static ClipPreprocessing dino(int size) {
    return new ClipPreprocessing(
        size, new Fit.ShortestEdge(size), 1 / 255.0, IMAGENET_MEAN, IMAGENET_DEVIATION);
  }

  /** The same for another size; where the shorter side was longer than it, it no longer is. */
  public ClipPreprocessing withSize(int other) {
    Fit fitted =
        switch (fit) {
          case Fit.Stretch stretch -> stretch;
          case Fit.ShortestEdge _ -> new Fit.ShortestEdge(other);
        };
    return new ClipPreprocessing(padding, other, fitted, rescale, mean, deviation);
  }

  public ClipPreprocessing with(Padding other) {
    return new ClipPreprocessing(other, size, fit, rescale, mean, deviation);
  }

  /** CLIP's, for another size. */
  public static ClipPreprocessing clip(int size) {
    return new ClipPreprocessing(
        size, new Fit.ShortestEdge(size), 1 / 255.0, CLIP_MEAN, CLIP_DEVIATION);
  }

  /**
   * @param file preprocessor_config.json of a tower
   * @throws ImageException if a setting would change the numbers and is not known here
   */
  public static ClipPreprocessing read(Path file) {
    return PreprocessorFile.read(file);
  }

  /** The picture resized and cropped, still in bytes: [size, size, 3]. */
  public RgbImage resized(RgbImage picture) {
    RgbImage image =
        switch (padding) {
          case NONE -> picture;
          case SQUARE -> picture.squared(background());
        };
    return switch (fit) {
      case Fit.Stretch() -> Bicubic.resize(image, size, size, 0, 0, size);
      case Fit.ShortestEdge(int edge) -> {
        long shorter = Math.min(image.width(), image.height());
        long width = (long) ((double) edge * image.width() / shorter);
        long height = (long) ((double) edge * image.height() / shorter);
        yield Bicubic.resize(image, width, height, (width - size) / 2, (height - size) / 2, size);
      }
    };
  }

  /** The mean as a colour of 8 bits, cut off. */
  private byte[] background() {
    byte[] colour = new byte[3];
    for (int channel = 0; channel < 3; channel++) {
      colour[channel] = (byte) (int) (255 * mean.get(channel));
    }
    return colour;
  }

  /** Floats of one image. */
  public int length() {
    return 3 * size * size;
  }

  /**
   * What the tower reads.
   *
   * @return [3, size, size]
   */
  public float[] pixels(RgbImage image) {
    byte[] rgb = resized(image).rgb();
    float[] out = new float[length()];
    int plane = size * size;
    for (int channel = 0; channel < 3; channel++) {
      float[] levels = levels(channel);
      for (int i = 0; i < plane; i++) {
        out[channel * plane + i] = levels[rgb[3 * i + channel] & 0xff];
      }
    }
    return out;
  }

  /** The 256 values a channel can take, rounded to f32 where the original rounds. */
  private float[] levels(int channel) {
    float center = mean.get(channel).floatValue();
    float width = deviation.get(channel).floatValue();
    float[] levels = new float[256];
    for (int level = 0; level < levels.length; level++) {
      levels[level] = ((float) (level * rescale) - center) / width;
    }
    return levels;
  }

  /** All that changes numbers, for the key of a cache. */
  public String fingerprint() {
    String before = padding == Padding.NONE ? "" : "square ";
    return before + "%s %d %s %s %s".formatted(fit, size, rescale, mean, deviation);
  }
}
