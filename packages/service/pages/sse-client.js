document.querySelector('#events').textContent = 'Nothing yet.'
