package io.moextend.data;

import io.moextend.text.ImagePlaces;
import java.util.Arrays;
import java.util.List;

/**
 * Which ids of a row are learnt: the answers and the sign behind each. Where a round ends is told
 * by tokenising it on its own; where that does not add up, nothing of the row is learnt.
 *
 * @param end id that the tokenizer ends a text with
 * @param pad id of the filler
 * @param maxLength ids of the longest row; beyond it the sum is not checked
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/util/data_utils.py
 */
record AnswerLabels(
    ImagePlaces places, ConversationTemplate template, int end, int pad, int maxLength) {
  /**
   * @param labels one for each id; {@link EncodedSample#IGNORED} where nothing is learnt
   * @param doubt why nothing at all is; empty where all added up
   */
  @SuppressWarnings("ArrayRecordComponent") // made and read within one call
  record Learnt(int[] labels, String doubt) {}

  /**
   * @param text the conversation
   * @param ids of it, its images not widened; the end may be cut off
   */
  Learnt of(String text, int[] ids) {
    return switch (template.learning()) {
      case WITHOUT_START -> rounds(text, ids, false);
      case WITH_START -> rounds(text, ids, true);
      case AS_TOKENIZER -> rounds(text, ids, places.starts());
      case CAPTION -> {
        int[] labels = ids.clone();
        ignore(labels, 0, places.encode(ImagePlaces.MARK).length);
        yield new Learnt(labels, "");
      }
      case NONE -> throw new IllegalStateException(template + " has no rule for what is learnt");
    };
  }

  /**
   * @param starts whether each text that is tokenised on its own brings a start token, which then
   *     counts for the sign behind the round
   */
  private Learnt rounds(String text, int[] ids, boolean starts) {
    int[] labels = ids.clone();
    int counted = starts ? 1 : 0;
    ignore(labels, 0, counted);
    int ends = 0;
    for (String round : PythonText.split(text, template.end())) {
      List<String> halves = PythonText.split(round, template.answerSign());
      if (round.isEmpty() || halves.size() != 2) {
        break;
      }
      // the question's last id is the space that the answer begins with
      int question = places.encode(halves.getFirst() + template.answerSign()).length;
      ignore(labels, counted, counted + question - (starts ? 2 : 1));
      counted += places.encode(round).length + (starts ? 0 : 1);
      ends++;
    }
    ignore(labels, counted, labels.length);
    int sum = pad == end ? counted - ends : counted;
    int present = (int) Arrays.stream(ids).filter(id -> id != pad).count();
    if (sum >= maxLength || sum == present) {
      return new Learnt(labels, "");
    }
    ignore(labels, 0, labels.length);
    return new Learnt(
        labels,
        "its rounds make %d ids and its row has %d, so nothing of it is learnt; does an answer hold"
                .formatted(sum, present)
            + " %s or %s?".formatted(template.answerSign().strip(), template.end()));
  }

  private static void ignore(int[] labels, int from, int to) {
    int first = Math.min(from, labels.length);
    Arrays.fill(labels, first, Math.max(first, Math.min(to, labels.length)), EncodedSample.IGNORED);
  }
}
