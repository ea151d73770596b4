package io.moextend.demo;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Pictures of one thing each, and samples about them.
 *
 * @param name "train" or "test"; part of files and ids
 */
public record PictureSet(String name, List<Picture> pictures) {
  private static final String CAPTION = "describe the image .";

  public PictureSet {
    pictures = List.copyOf(pictures);
  }

  /** One sample a picture: its description. */
  public List<ImageSample> captions() {
    List<ImageSample> samples = new ArrayList<>();
    for (int i = 0; i < pictures.size(); i++) {
      Picture picture = pictures.get(i);
      samples.add(sample("caption", i, List.of(new Turn(CAPTION, picture.scene().description()))));
    }
    return samples;
  }

  /** One sample for each picture and question, for a test that scores each alone. */
  public List<ImageSample> questions() {
    List<ImageSample> samples = new ArrayList<>();
    for (int i = 0; i < pictures.size(); i++) {
      for (Question question : Question.values()) {
        samples.add(sample(question.word(), i, List.of(turn(question, i))));
      }
    }
    return samples;
  }

  /**
   * One sample a picture: all questions in a random order, one after the other, so that each
   * question is first equally often.
   */
  public List<ImageSample> conversations(long seed) {
    Random random = new Random(seed);
    List<ImageSample> samples = new ArrayList<>();
    List<Question> order = new ArrayList<>(List.of(Question.values()));
    for (int i = 0; i < pictures.size(); i++) {
      if (i % order.size() == 0) {
        Collections.shuffle(order, random);
      }
      Collections.rotate(order, 1);
      List<Turn> turns = new ArrayList<>();
      for (Question question : order) {
        turns.add(turn(question, i));
      }
      samples.add(sample("talk", i, turns));
    }
    return samples;
  }

  /**
   * What someone reaches who always gives the most frequent answer of this set.
   *
   * @return share of right answers, 0 to 1, by question
   */
  public Map<Question, Double> chance() {
    Map<Question, Double> chance = new EnumMap<>(Question.class);
    for (Question question : Question.values()) {
      Map<String, Integer> counts = new HashMap<>();
      for (Picture picture : pictures) {
        counts.merge(question.answer(picture.scene().things().getFirst()), 1, Integer::sum);
      }
      chance.put(question, Collections.max(counts.values()) / (double) pictures.size());
    }
    return chance;
  }

  private Turn turn(Question question, int picture) {
    Thing thing = pictures.get(picture).scene().things().getFirst();
    return new Turn(question.text(), question.answer(thing));
  }

  private ImageSample sample(String kind, int picture, List<Turn> turns) {
    return new ImageSample(
        "%s-%s-%04d".formatted(kind, name, picture), pictures.get(picture).file(), turns);
  }
}
