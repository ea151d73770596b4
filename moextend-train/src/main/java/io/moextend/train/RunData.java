package io.moextend.train;

import io.moextend.config.ConfigException;
import io.moextend.config.VisionConfig;
import io.moextend.data.Batch;
import io.moextend.data.BatchLoader;
import io.moextend.data.EncodedSample;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.LengthGroups;
import io.moextend.data.RowEncoder;
import io.moextend.data.SampleFile;
import io.moextend.data.SampleOrder;
import io.moextend.data.SampleOrder.Arrangement;
import io.moextend.data.Share;
import io.moextend.data.Talk;
import io.moextend.data.TrainingSet;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A run's samples: what is trained on, and what is kept for evaluation. Closing it closes the
 * files.
 */
public final class RunData implements AutoCloseable {
  private final List<SampleFile> files;
  private final TrainingSet training;
  private final @Nullable TrainingSet evaluation;
  private int @Nullable [] lengths;

  private RunData(List<SampleFile> files, TrainingSet training, @Nullable TrainingSet evaluation) {
    this.files = files;
    this.training = training;
    this.evaluation = evaluation;
  }

  /**
   * @param tokenizer opened as the run's template needs it: {@link ModelFiles#talk}
   * @param progress told now and then how many samples were looked at
   */
  public static RunData open(
      TrainConfig config, ModelFiles model, Tokenizer tokenizer, LongConsumer progress) {
    var files = new ArrayList<SampleFile>();
    try {
      TrainingSet all = set(config, model, tokenizer, config.data().trainFiles(), files, progress);
      if (!config.data().evalFiles().isEmpty()) {
        TrainingSet kept =
            set(config, model, tokenizer, config.data().evalFiles(), files, progress);
        return new RunData(files, all, kept);
      }
      TrainingSet.Split split = all.split(config.data().evalSplit(), config.training().seed());
      return new RunData(files, split.training(), split.evaluation());
    } catch (RuntimeException e) {
      files.forEach(SampleFile::close);
      throw e;
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // in "opened", which the caller closes
  private static TrainingSet set(
      TrainConfig config,
      ModelFiles model,
      Tokenizer tokenizer,
      List<Path> paths,
      List<SampleFile> opened,
      LongConsumer progress) {
    DataSection data = config.data();
    Path root = data.imageRoot();
    Path beside = paths.getFirst().toAbsolutePath().getParent();
    var images = new ImageRoot(root != null ? root : beside == null ? Path.of(".") : beside);
    VisionConfig vision = model.config().decoder().vision();
    Talk talk = Talk.named(data.conversationTemplate(), model.config().decoder().type());
    RowEncoder encoder = talk.rows(tokenizer, vision, data.maxLength(), data.overLength().policy());
    KeptTurns kept = data.firstTurnOnly() ? KeptTurns.FIRST_ONLY : talk.kept();
    var own = new ArrayList<SampleFile>();
    for (Path path : paths) {
      SampleFile file = SampleFile.open(path, kept, images);
      own.add(file);
      opened.add(file);
    }
    ClipPreprocessing preprocessing = model.preprocessing();
    if (vision == null || preprocessing == null) {
      requireText(own);
    }
    TrainingSet set =
        TrainingSet.of(
            own,
            encoder,
            images,
            new ImageDecoder(data.maxImagePixels(), data.exifOrientation()),
            preprocessing == null ? ClipPreprocessing.clip(1) : preprocessing,
            data.padToMax() ? data.maxLength() : 0,
            progress);
    requirePositions(data, set, model.config().decoder().rope().maxPositions());
    return set;
  }

  /** Looks at the samples again only where one could be longer than the model has positions. */
  private static void requirePositions(DataSection data, TrainingSet set, int positions) {
    if (data.maxLength() <= positions) {
      return;
    }
    String mend =
        "the model has max_position_embeddings=%d; write at most that".formatted(positions);
    if (data.padToMax()) {
      throw new ConfigException("data.max_length", data.maxLength(), mend);
    }
    for (int i = 0; i < set.size(); i++) {
      EncodedSample sample = set.encoded(i);
      if (sample.length() > positions) {
        throw new ConfigException(
            "data.max_length",
            data.maxLength(),
            "%s has %d ids, and %s".formatted(sample.sample().where(), sample.length(), mend));
      }
    }
  }

  private static void requireText(List<SampleFile> files) {
    for (SampleFile file : files) {
      for (int i = 0; i < file.size(); i++) {
        if (!file.read(i).images().isEmpty()) {
          throw new ConfigException(
              file.read(i).where()
                  + ": has an image, but the model has no vision part; name a tower in model.vision_tower");
        }
      }
    }
  }

  public TrainingSet training() {
    return training;
  }

  /** What the user should know of the samples: those left out, those of which nothing is learnt. */
  public List<String> remarks() {
    var remarks = new ArrayList<String>();
    if (training.skipped() > 0) {
      remarks.add("%,d samples are too long and left out".formatted(training.skipped()));
    }
    doubt("", training, remarks);
    if (evaluation != null) {
      doubt("evaluation ", evaluation, remarks);
    }
    return remarks;
  }

  private static void doubt(String which, TrainingSet set, List<String> remarks) {
    set.firstDoubt()
        .ifPresent(
            first ->
                remarks.add(
                    "nothing is learnt of %,d %ssamples; the first is %s"
                        .formatted(set.doubtful(), which, first)));
  }

  /** Micro-batches of the training samples, made ahead by workers. */
  @SuppressWarnings("MustBeClosedChecker") // LoadedBatches closes its loader
  public LoadedBatches batches(TrainConfig config, Share share) {
    int workers = Math.max(1, config.data().dataloaderNumWorkers());
    SampleOrder order = order(config, share.world());
    var content = new LinkedHashMap<String, String>();
    content.put(
        "data.train_files samples", String.valueOf(training.size())); // their order is by it
    return new LoadedBatches(
        from -> new BatchLoader(training::batch, order, share, from, workers, 2 * workers),
        content);
  }

  /**
   * @param world ranks; samples of the same global batch come in the same order for any number
   */
  public SampleOrder order(TrainConfig config, int world) {
    long seed = config.training().seed();
    if (!config.data().groupByModalityLength()) {
      return new SampleOrder(training.size(), seed, new Arrangement.Shuffled());
    }
    if (lengths == null) {
      lengths = training.modalityLengths();
    }
    TrainingSection how = config.training();
    int rows = how.perDeviceTrainBatchSize();
    int parts = Math.toIntExact(how.globalBatch(world) / rows);
    var groups = new LengthGroups(lengths, rows, parts);
    return new SampleOrder(training.size(), seed, new Arrangement.Grouped(groups));
  }

  /**
   * Evaluation batches in the samples' order, each read when it is asked for; none where nothing is
   * kept.
   */
  public List<Batch> evaluation(int rows) {
    TrainingSet kept = evaluation;
    if (kept == null) {
      return List.of();
    }
    return kept.batches(rows);
  }

  @Override
  public void close() {
    files.forEach(SampleFile::close);
  }
}
