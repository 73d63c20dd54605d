//! How to read the chart and the record.

use leptos::prelude::*;

use crate::erase::Erase;

/// A folded text.
#[component]
pub fn Explanation() -> impl IntoView {
    view! {
        <details class="explanation">
            <summary>"How to read this"</summary>
            <p>
                "The fan to the right of the last bar is the forecast. The model says that the close \
                will lie inside the inner band in 80 of 100 cases and inside the outer one in 95."
            </p>
            <p>
                "The narrow band behind the bars is what was forecast of them that many steps before. \
                A mark outside it is a close that the inner band did not hold."
            </p>
            <p>
                "Every live forecast is written down before its outcome is known and judged when it \
                is. Held tells whether a band keeps its promise: 80 % should hold close to 80 % of \
                outcomes, no less and no more. Skill compares the mean absolute error with that of \
                the naive forecast, which says that the price stays as it is: above 0 is better than \
                naive. Most models are not."
            </p>
        </details>
    }
    .erased()
}
