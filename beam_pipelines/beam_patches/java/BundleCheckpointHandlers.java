package org.apache.beam.runners.fnexecution.control;

import java.util.Collections;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.BundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.DelayedBundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.runners.core.StateInternalsFactory;
import org.apache.beam.runners.core.StateNamespace;
import org.apache.beam.runners.core.StateNamespaces;
import org.apache.beam.runners.core.StateTags;
import org.apache.beam.runners.core.TimerInternalsFactory;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.state.TimeDomain;
import org.apache.beam.sdk.transforms.windowing.BoundedWindow;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.joda.time.Instant;

/**
 * What is left of a splittable DoFn's element when its call defers the rest, in names that go round.
 *
 * <p>Beam's Flink runner keeps each remainder in a state and a timer of a new name, and Flink never forgets a name: a
 * source that defers a few times a second, as one that polls must, fills the heap with empty state tables, or RocksDB
 * with column families, within hours, and restores more slowly with every minute that it ran.
 *
 * <p>A name may be taken again once its remainder has been worked on. State and timers belong to the element that is
 * read, and an element has one remainder at a time, so even one name would do; there are NAMES of them for the case
 * that a source is given equal elements.
 *
 * <p>Written for: beam-runners-flink 2.70.
 * Replaces: Beam's class of this name, on the class path before it.
 * Issue of Beam's: apache/beam#27648; versions after 2.70 are said to mend it another way.
 * To drop it: take a runner in which the issue is closed, delete this file, and see that
 * `tests/flink/test_source_state.py` passes.
 */
public class BundleCheckpointHandlers {

  public static class StateAndTimerBundleCheckpointHandler<T> implements BundleCheckpointHandler {
    /** The runner knows these timers by it. */
    public static final String SDF_PREFIX = "sdf_checkpoint";

    private static final int NAMES = 4;

    private final TimerInternalsFactory<T> timers;
    private final StateInternalsFactory<T> states;
    private final Coder<WindowedValue<T>> coder;

    @SuppressWarnings("rawtypes")
    private final Coder windowCoder;

    private int next = 0;

    @SuppressWarnings("rawtypes")
    public StateAndTimerBundleCheckpointHandler(
        TimerInternalsFactory<T> timers, StateInternalsFactory<T> states, Coder<WindowedValue<T>> coder,
        Coder windowCoder) {
      this.timers = timers;
      this.states = states;
      this.coder = coder;
      this.windowCoder = windowCoder;
    }

    public static boolean isSdfTimer(String timerId) {
      return timerId.startsWith(SDF_PREFIX);
    }

    @Override
    public void onCheckpoint(ProcessBundleResponse response) {
      for (DelayedBundleApplication rest : response.getResidualRootsList()) {
        if (rest.hasApplication()) {
          keep(rest);
        }
      }
    }

    @SuppressWarnings("unchecked")
    private void keep(DelayedBundleApplication rest) {
      // Not a name of Beam's own: a savepoint may hold remainders under those.
      String name = SDF_PREFIX + ":round:" + next;
      next = (next + 1) % NAMES;
      BundleApplication application = rest.getApplication();
      Instant due = Instant.now();
      if (rest.hasRequestedTimeDelay()) {
        due = due.plus(millis(rest.getRequestedTimeDelay().getSeconds(), rest.getRequestedTimeDelay().getNanos()));
      }
      Instant watermark =
          application.getOutputWatermarksMap().values().stream()
              .map(reached -> new Instant(millis(reached.getSeconds(), reached.getNanos())))
              .min(Instant::compareTo)
              .orElse(BoundedWindow.TIMESTAMP_MIN_VALUE);
      try {
        WindowedValue<T> element = CoderUtils.decodeFromByteArray(coder, application.getElement().toByteArray());
        for (BoundedWindow window : element.getWindows()) {
          StateNamespace namespace = StateNamespaces.window(windowCoder, window);
          timers
              .timerInternalsForKey(element.getValue())
              .setTimer(namespace, name, "", due, watermark, TimeDomain.PROCESSING_TIME);
          states
              .stateInternalsForKey(element.getValue())
              .state(namespace, StateTags.value(name, coder))
              .write(
                  WindowedValues.of(
                      element.getValue(), element.getTimestamp(), Collections.singletonList(window),
                      element.getPaneInfo()));
        }
      } catch (Exception exc) {
        throw new RuntimeException("cannot keep what is left of an element", exc);
      }
    }

    private static long millis(long seconds, int nanos) {
      return seconds * 1000 + nanos / 1_000_000;
    }
  }
}
